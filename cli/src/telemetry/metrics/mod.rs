//! Figures for Prometheus: which there are, as data, and what spans add to them.

mod exposition;
mod file;

use super::span::{Event, Fields, Span};

pub(super) use file::File;

/// Something that is counted or measured.
#[derive(Debug, PartialEq)]
pub struct Metric {
    /// Its name, after `ci_build_`.
    pub name: &'static str,
    /// What it says, for `# HELP`.
    pub help: &'static str,
    /// Its labels, and the fields that they are of.
    pub labels: &'static [&'static str],
    from: From,
}

/// Where a figure comes from.
#[derive(Debug, PartialEq)]
enum From {
    /// Each span of this name.
    Span(&'static str, Amount),
    /// Each event of this message in a span of this name.
    Event(&'static str, &'static str, Amount),
    /// How things stand, whenever figures are written.
    Gauge,
}

/// What is added.
#[derive(Debug, PartialEq)]
enum Amount {
    One,
    /// How long the span took.
    Seconds,
    /// What a field says, where it is more than nothing.
    Field(&'static str),
}

/// The value of a metric, for one set of labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// What it is a value of.
    pub metric: &'static Metric,
    /// The values of its labels.
    pub labels: Vec<String>,
    /// What is added, or what it is.
    pub value: f64,
}

/// How many hold a store's lock.
pub static HOLDERS: Metric =
    Metric { name: "lock_holders", help: "Commands that hold the lock.", labels: LOCK, from: From::Gauge };

/// How many wait for a store's lock.
pub static WAITERS: Metric = Metric {
    name: "lock_waiters",
    help: "Commands that wait for the lock.",
    labels: LOCK,
    from: From::Gauge,
};

const LOCK: &[&str] = &["store", "mode"];
const OUTCOME: &[&str] = &["outcome"];
const STORE: &[&str] = &["store"];

/// All of them, in the order in which they are written.
static ALL: [&Metric; 24] = [
    &HOLDERS,
    &WAITERS,
    &Metric {
        name: "locks_total",
        help: "Requests for the lock: had at once, waited for, nested in one that was had, or given up.",
        labels: &["store", "mode", "outcome"],
        from: From::Span("lock", Amount::One),
    },
    &Metric {
        name: "lock_wait_seconds_total",
        help: "Time until the lock was had, or given up.",
        labels: LOCK,
        from: From::Span("lock", Amount::Seconds),
    },
    &Metric {
        name: "builds_total",
        help: "Builds of `ci-build build`.",
        labels: OUTCOME,
        from: From::Span("build", Amount::One),
    },
    &Metric {
        name: "build_seconds_total",
        help: "Time that buildx took.",
        labels: OUTCOME,
        from: From::Span("build", Amount::Seconds),
    },
    &Metric {
        name: "runs_total",
        help: "Containers of `ci-build run`.",
        labels: OUTCOME,
        from: From::Span("run", Amount::One),
    },
    &Metric {
        name: "run_seconds_total",
        help: "Time that docker run took.",
        labels: OUTCOME,
        from: From::Span("run", Amount::Seconds),
    },
    &Metric {
        name: "pulls_total",
        help: "Images that were got, by where from: the engine where it had them, else each source that gave something.",
        labels: &["source"],
        from: From::Event("pull", "got", Amount::One),
    },
    &Metric {
        name: "pull_failures_total",
        help: "Images that no source gave.",
        labels: &[],
        from: From::Event("pull", "not got", Amount::One),
    },
    &Metric {
        name: "pull_seconds_total",
        help: "Time that pulls took.",
        labels: &[],
        from: From::Span("pull", Amount::Seconds),
    },
    &Metric {
        name: "prunes_total",
        help: "Prunes: done, skipped since another was at work, or failed.",
        labels: &["store", "outcome"],
        from: From::Span("prune", Amount::One),
    },
    &Metric {
        name: "prune_seconds_total",
        help: "Time that prunes took.",
        labels: STORE,
        from: From::Span("prune", Amount::Seconds),
    },
    &Metric {
        name: "prune_deleted_total",
        help: "What prunes deleted.",
        labels: &["store", "kind"],
        from: From::Event("prune", "deleted", Amount::One),
    },
    &Metric {
        name: "prune_failures_total",
        help: "What prunes could not delete.",
        labels: &["store", "kind"],
        from: From::Event("prune", "failed", Amount::One),
    },
    &Metric {
        name: "prune_freed_bytes_total",
        help: "Room on the engine's disk that was there after prunes and not before.",
        labels: STORE,
        from: From::Span("prune", Amount::Field("freed_bytes")),
    },
    &Metric {
        name: "recoveries_total",
        help: "Recoveries, those that build and run begin with too.",
        labels: OUTCOME,
        from: From::Span("recover", Amount::One),
    },
    &Metric {
        name: "recovery_removed_total",
        help: "What recoveries removed.",
        labels: &["kind"],
        from: From::Event("recover", "removed", Amount::One),
    },
    &Metric {
        name: "recovery_failures_total",
        help: "What recoveries could not remove.",
        labels: &[],
        from: From::Event("recover", "failed", Amount::One),
    },
    &Metric {
        name: "recovery_freed_bytes_total",
        help: "What removed containers had written.",
        labels: &[],
        from: From::Span("recover", Amount::Field("freed_bytes")),
    },
    &Metric {
        name: "sweeps_total",
        help: "Sweeps.",
        labels: OUTCOME,
        from: From::Span("sweep", Amount::One),
    },
    &Metric {
        name: "sweep_removed_total",
        help: "What sweeps removed.",
        labels: &[],
        from: From::Span("sweep", Amount::Field("removed")),
    },
    &Metric {
        name: "sweep_failures_total",
        help: "What sweeps could not remove.",
        labels: &[],
        from: From::Span("sweep", Amount::Field("failures")),
    },
    &Metric {
        name: "sweep_freed_bytes_total",
        help: "What sweeps freed.",
        labels: &[],
        from: From::Span("sweep", Amount::Field("freed_bytes")),
    },
];

impl Metric {
    /// What it is to Prometheus.
    fn kind(&self) -> &'static str {
        if self.from == From::Gauge { "gauge" } else { "counter" }
    }

    /// What this span adds to it.
    fn of<'a>(&'static self, span: &'a Span) -> impl Iterator<Item = Figure> + 'a {
        let whole = match &self.from {
            From::Span(name, amount) if *name == span.name => self.figure(amount, &[&span.fields], span),
            _ => None,
        };
        let events = span.events.iter().filter_map(move |event: &Event| match &self.from {
            From::Event(name, message, amount) if *name == span.name && event.message == *message => {
                self.figure(amount, &[&event.fields, &span.fields], span)
            }
            _ => None,
        });
        whole.into_iter().chain(events)
    }

    fn figure(&'static self, amount: &Amount, fields: &[&Fields], span: &Span) -> Option<Figure> {
        let find = |name: &str| fields.iter().find_map(|fields| fields.get(name));
        let value = match amount {
            Amount::One => 1.0,
            Amount::Seconds => span.seconds(),
            Amount::Field(name) => find(name)?.number()?.max(0.0),
        };
        let label = |name: &&str| find(name).map_or_else(|| "unknown".to_owned(), ToString::to_string);
        Some(Figure { metric: self, labels: self.labels.iter().map(label).collect(), value })
    }
}

/// What spans add, in the order of the metrics.
fn figures(spans: &[Span]) -> Vec<Figure> {
    ALL.iter().flat_map(|metric| spans.iter().flat_map(|span| metric.of(span))).collect()
}

/// The rows of docs/observability.md.
pub(super) fn page() -> String {
    let row = |metric: &&Metric| {
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        format!(
            "| `ci_build_{}` | {} | {} | {} |\n",
            metric.name,
            metric.kind(),
            labels.join(", "),
            metric.help
        )
    };
    ALL.iter().map(row).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::telemetry::span::Value;

    /// A span that has taken half a second.
    pub(in crate::telemetry) fn span(name: &'static str, fields: &[(&'static str, Value)]) -> Span {
        let mut span = Span::begin(name, None, None);
        span.nanoseconds = 500_000_000;
        fields.iter().for_each(|(name, value)| span.fields.set(name, value.clone()));
        span
    }

    fn event(message: &str, field: &'static str, value: &str) -> Event {
        let mut fields = Fields::default();
        fields.set(field, Value::Text(value.into()));
        let at = std::time::SystemTime::UNIX_EPOCH;
        Event { at, level: tracing::Level::INFO, message: message.into(), fields }
    }

    #[test]
    fn spans_and_their_events_are_counted() {
        let text = |text: &str| Value::Text(text.into());
        let mut prune = span("prune", &[("store", text("x")), ("freed_bytes", Value::Integer(7))]);
        prune.events = vec![event("deleted", "kind", "image"), event("chatter", "kind", "image")];
        let mut pull = span("pull", &[]);
        pull.events = vec![event("got", "source", "lan"), event("got", "source", "docker.io")];
        let shown = |figure: &Figure| format!("{} {:?} {}", figure.metric.name, figure.labels, figure.value);
        let lost = span("prune", &[("store", text("x")), ("freed_bytes", Value::Integer(-7))]);
        let shown: Vec<_> = figures(&[prune, pull, lost, span("other", &[])]).iter().map(shown).collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        pulls_total ["lan"] 1
        pulls_total ["docker.io"] 1
        pull_seconds_total [] 0.5
        prunes_total ["x", "unknown"] 1
        prunes_total ["x", "unknown"] 1
        prune_seconds_total ["x"] 0.5
        prune_seconds_total ["x"] 0.5
        prune_deleted_total ["x", "image"] 1
        prune_freed_bytes_total ["x"] 7
        prune_freed_bytes_total ["x"] 0
        "#);
    }

    #[test]
    fn names_are_those_that_prometheus_asks_for() {
        for metric in ALL {
            assert_eq!(metric.kind() == "counter", metric.name.ends_with("_total"), "{}", metric.name);
            assert!(metric.help.ends_with('.'), "{}", metric.name);
            assert_eq!(ALL.iter().filter(|other| other.name == metric.name).count(), 1);
        }
    }
}
