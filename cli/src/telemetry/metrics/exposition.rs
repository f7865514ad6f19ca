//! The text that Prometheus reads, version 0.0.4, both ways: the file is also where counters are kept between commands.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{ALL, Figure, From};

/// What stands before each name.
const PREFIX: &str = "ci_build_";

/// All figures: the metric's place in [`ALL`], the labels' values, the value.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Figures(BTreeMap<(usize, Vec<String>), f64>);

impl Figures {
    /// Reads what was written. What this version does not know goes: Prometheus takes a counter that begins anew.
    pub(super) fn read(text: &str) -> Self {
        Self(text.lines().filter(|line| !line.starts_with('#')).filter_map(line).collect())
    }

    /// Counts what has happened, and sets how things stand.
    pub(super) fn add(&mut self, counted: Vec<Figure>, stand: Vec<Figure>) {
        // Who was there and is not any more is counted as nobody: a series that ends tells nothing.
        let gauges = self.0.iter_mut().filter(|((place, _), _)| ALL[*place].from == From::Gauge);
        gauges.for_each(|(_, value)| *value = 0.0);
        for figure in counted.into_iter().chain(stand) {
            if let Some(place) = ALL.iter().position(|metric| std::ptr::eq(*metric, figure.metric)) {
                *self.0.entry((place, figure.labels)).or_default() += figure.value;
            }
        }
    }

    /// The text for the file.
    pub(super) fn write(&self) -> String {
        let mut text = String::new();
        let mut last = None;
        for ((place, labels), value) in &self.0 {
            let metric = ALL[*place];
            let name = metric.name;
            // Writing to a string does not fail.
            if last.replace(place) != Some(place) {
                let _ = writeln!(text, "# HELP {PREFIX}{name} {}", metric.help);
                let _ = writeln!(text, "# TYPE {PREFIX}{name} {}", metric.kind());
            }
            let pairs = metric.labels.iter().zip(labels);
            let pairs: Vec<_> =
                pairs.map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
            let pairs = if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) };
            let _ = writeln!(text, "{PREFIX}{name}{pairs} {value}");
        }
        text
    }
}

/// One line of ours.
fn line(line: &str) -> Option<((usize, Vec<String>), f64)> {
    let end = line.find(['{', ' '])?;
    let name = line[..end].strip_prefix(PREFIX)?;
    let place = ALL.iter().position(|metric| metric.name == name)?;
    let (mut rest, mut labels) = (&line[end..], Vec::new());
    for (index, label) in ALL[place].labels.iter().enumerate() {
        rest = rest
            .strip_prefix(if index == 0 { '{' } else { ',' })?
            .strip_prefix(label)?
            .strip_prefix("=\"")?;
        let (value, after) = quoted(rest)?;
        labels.push(value);
        rest = after;
    }
    if !labels.is_empty() {
        rest = rest.strip_prefix('}')?;
    }
    let value: f64 = rest.strip_prefix(' ')?.parse().ok()?;
    value.is_finite().then_some(((place, labels), value))
}

/// A label's value up to its closing quote, and what stands behind that.
fn quoted(text: &str) -> Option<(String, &str)> {
    let (mut value, mut characters) = (String::new(), text.char_indices());
    loop {
        match characters.next()? {
            (at, '"') => return Some((value, &text[at + 1..])),
            (_, '\\') => value.push(match characters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            (_, other) => value.push(other),
        }
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::telemetry::metrics::tests::span;
    use crate::telemetry::metrics::{HOLDERS, figures};
    use crate::telemetry::span::Value;

    fn holders(store: &str, value: f64) -> Figure {
        Figure { metric: &HOLDERS, labels: vec![store.into(), "shared".into()], value }
    }

    #[test]
    fn counters_go_on_and_gauges_are_what_is() {
        let pruned = || figures(&[span("prune", &[("store", Value::Text("a\"b\\c\nd".into()))])]);
        let mut first = Figures::default();
        first.add(pruned(), vec![holders("old", 3.0)]);
        let mut second = Figures::read(&first.write());
        assert_eq!(second, first);
        second.add(pruned(), vec![holders("new", 1.0)]);
        insta::assert_snapshot!(second.write(), @r#"
        # HELP ci_build_lock_holders Commands that hold the lock.
        # TYPE ci_build_lock_holders gauge
        ci_build_lock_holders{store="new",mode="shared"} 1
        ci_build_lock_holders{store="old",mode="shared"} 0
        # HELP ci_build_prunes_total Prunes: done, skipped since another was at work, or failed.
        # TYPE ci_build_prunes_total counter
        ci_build_prunes_total{store="a\"b\\c\nd",outcome="unknown"} 2
        # HELP ci_build_prune_seconds_total Time that prunes took.
        # TYPE ci_build_prune_seconds_total counter
        ci_build_prune_seconds_total{store="a\"b\\c\nd"} 1
        "#);
    }

    #[test]
    fn what_is_not_ours_goes() {
        let text = "other_total 7\nci_build_unknown_total 7\nci_build_pull_seconds_total 0.5\n\
            ci_build_pull_seconds_total NaN\nci_build_prunes_total{store=\"x\"} 7\nci_build_";
        assert_eq!(Figures::read(text).0.len(), 1);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(store in "\\PC{0,20}|[\"\\\\\n{},= ]{0,8}", value in 0.0f64..1e18) {
            let mut figures = Figures::default();
            figures.add(vec![holders(&store, value)], Vec::new());
            prop_assert_eq!(Figures::read(&figures.write()), figures);
        }

        #[test]
        fn nothing_that_stands_there_panics(text in "(ci_build_(locks_total|prunes_total)?[{}\"\\\\,= a-z0-9]{0,30}\n)*") {
            Figures::read(&text);
        }
    }
}
