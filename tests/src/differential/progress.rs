//! What a client tells while it builds: `--progress=rawjson`, a status of BuildKit's a line (`client/graph.go`, SolveStatus),
//! and between these lines what it says by itself.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::Value;

use super::facts::Facts;

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    vertexes: Vec<Vertex>,
    #[serde(default)]
    logs: Vec<Log>,
    #[serde(default)]
    warnings: Vec<Warning>,
}

#[derive(Deserialize, Clone)]
struct Vertex {
    digest: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    cached: bool,
    #[serde(default)]
    completed: Option<Value>,
    #[serde(default)]
    error: String,
    #[serde(default, rename = "progressGroup")]
    group: Option<Value>,
}

#[derive(Deserialize)]
struct Log {
    vertex: String,
    /// 1 is the output, 2 the error output.
    #[serde(default)]
    stream: i64,
    #[serde(default)]
    data: String,
}

#[derive(Deserialize)]
struct Warning {
    #[serde(default)]
    level: i64,
    #[serde(default)]
    short: String,
    #[serde(default)]
    detail: Option<Vec<String>>,
    #[serde(default)]
    url: String,
    #[serde(default)]
    range: Option<Value>,
}

/// Stands for the number of steps where one was cancelled because of another one: how far it got is a race.
const CANCELLED: &str = "one was cancelled";

/// What steps wrote, by vertex and stream: which of two streams comes first is a race.
type Logs = BTreeMap<(String, i64), Vec<u8>>;

/// Steps by digest.
type Steps = BTreeMap<String, Vertex>;

/// Steps that were cached or ran, by their names, and whether each was cached.
///
/// Plain progress may lose that: when a cached step's layers are fetched for an export, BuildKit tells of the step once more,
/// without it (`util/progress/controller/controller.go`, Controller.Start), and whichever comes last is shown.
#[must_use]
pub fn steps(text: &str) -> Vec<(String, bool)> {
    let mut steps = Steps::new();
    let statuses = text.lines().filter_map(|line| serde_json::from_str::<Status>(line).ok());
    statuses.for_each(|status| learn(&mut steps, status.vertexes));
    let done = steps.into_values().filter(|step| step.is_of_dockerfile() && step.completed.is_some());
    done.map(|step| (step.name, step.cached)).collect()
}

/// The steps with what became of each, their output, the warnings, and what the client says by itself.
#[must_use]
pub fn facts(text: &str) -> Facts {
    let mut steps = Steps::new();
    let mut logs = Logs::new();
    let mut facts = Facts::default();
    let mut own = Vec::new();
    for line in text.lines() {
        let Ok(status) = serde_json::from_str::<Status>(line) else {
            own.push(without_time(line));
            continue;
        };
        learn(&mut steps, status.vertexes);
        for log in status.logs {
            logs.entry((log.vertex, log.stream)).or_default().extend(decoded(&log.data));
        }
        for warning in status.warnings {
            let text = |data: &str| String::from_utf8_lossy(&decoded(data)).into_owned();
            let short = text(&warning.short);
            let detail = warning.detail.unwrap_or_default();
            let detail = detail.iter().map(|line| text(line)).collect::<Vec<_>>().join(" ");
            let range = warning.range.unwrap_or_default();
            facts.put(
                format!("warning[{short}]"),
                format!("{} {} {range} {detail}", warning.level, warning.url),
            );
        }
    }
    facts.put("said", said(own));
    put_steps(&steps, &logs, &mut facts);
    facts
}

/// What was once told of a step stays so.
fn learn(steps: &mut Steps, vertexes: Vec<Vertex>) {
    for vertex in vertexes {
        let step = steps.entry(vertex.digest.clone()).or_insert_with(|| vertex.clone());
        step.cached |= vertex.cached;
        step.completed = vertex.completed.or(step.completed.take());
        if !vertex.error.is_empty() {
            step.error = vertex.error;
        }
    }
}

/// What the client says. It has an error of the build twice, from its own request and from the solve that this is part of,
/// and shows the one that comes first: both are called by one name. The rules that a check fails by come in any order. The end of a failed step's output is in it, from both streams as they came: that is put in order.
fn said(mut lines: Vec<&str>) -> String {
    let mut at = 0;
    while let Some(begin) = lines[at..].iter().position(|line| line.starts_with(" > ")) {
        let begin = at + begin + 1;
        let end = lines[begin..].iter().position(|line| line.starts_with("---"));
        at = end.map_or(lines.len(), |end| begin + end);
        lines[begin..at].sort_unstable();
    }
    let lines: Vec<_> = lines.into_iter().map(with_rules_in_order).collect();
    lines.join("\n").trim_end().replace("failed to run Build function: ", "failed to solve: ")
}

fn with_rules_in_order(line: &str) -> String {
    const FOUND: &str = "lint violation found for rules: ";
    let Some((before, rules)) = line.split_once(FOUND) else { return line.to_owned() };
    let mut rules: Vec<_> = rules.split(", ").collect();
    rules.sort_unstable();
    format!("{before}{FOUND}{}", rules.join(", "))
}

/// Whether a line of the progress, or all of several, holds this text in what a step wrote.
#[must_use]
pub fn tells(line: &str, text: &str) -> bool {
    let logs = serde_json::from_str::<Status>(line).map(|status| status.logs).unwrap_or_default();
    logs.iter().any(|log| String::from_utf8_lossy(&decoded(&log.data)).contains(text))
}

fn put_steps(steps: &Steps, logs: &Logs, facts: &mut Facts) {
    let (mut executed, mut cached, mut cancelled) = (0, 0, false);
    // By name: digests order them differently each time.
    let mut steps: Vec<_> = steps.values().collect();
    steps.sort_by(|a, b| (&a.name, a.state(), &a.digest).cmp(&(&b.name, b.state(), &b.digest)));
    for step in steps {
        let name = step.steady_name();
        if step.is_of_dockerfile() {
            executed += usize::from(step.state() == "executed");
            cached += usize::from(step.state() == "cached");
        }
        // Beside a step that fails, others may get to their end or not.
        cancelled |= step.state() == "cancelled";
        facts.put(format!("step[{name}]"), step.state());
        facts.put(format!("digest[{name}]"), &step.digest);
        if step.state() == "failed" {
            facts.put(format!("error[{name}]"), &step.error);
        }
        if let Some(group) = &step.group {
            facts.put(format!("group[{name}]"), &group["name"]);
        }
        for (stream, kind) in [(1, "log"), (2, "error-log")] {
            if let Some(log) = logs.get(&(step.digest.clone(), stream)) {
                facts.put(format!("{kind}[{name}]"), String::from_utf8_lossy(log));
            }
        }
    }
    let count = |number: usize| if cancelled { CANCELLED.to_owned() } else { number.to_string() };
    facts.put("executed", count(executed));
    facts.put("cached", count(cached));
}

impl Vertex {
    fn state(&self) -> &'static str {
        match self {
            Self { error, .. } if error.contains("context canceled") => "cancelled",
            Self { error, .. } if !error.is_empty() => "failed",
            Self { cached: true, .. } => "cached",
            Self { completed: Some(_), .. } => "executed",
            _ => "unfinished",
        }
    }

    /// A base image that several stages have is one step, which is called after any of them; and so is a file that several
    /// targets of a bake file load. A cache in a directory is called after its attributes, with the digest of what an earlier
    /// build wrote there, which has times in it (`solver/llbsolver/bridge.go`, cmKey).
    fn steady_name(&self) -> String {
        const LOCAL: &str = "importing cache manifest from local:";
        if self.name.starts_with(LOCAL) {
            return LOCAL.to_owned();
        }
        let Some((stage, what)) = self.name.split_once("] ").filter(|_| self.name.starts_with('[')) else {
            return self.name.clone();
        };
        match what {
            _ if what.starts_with("FROM ") => what.to_owned(),
            _ if stage.ends_with(" internal") => format!("[internal] {what}"),
            _ => self.name.clone(),
        }
    }

    /// `[stage 2/3] RUN …`, but not `[internal] load …` or `[target internal] load …`, no loading of an image, and no notice
    /// of ours.
    fn is_of_dockerfile(&self) -> bool {
        let Some((stage, what)) = self.name.split_once("] ") else { return false };
        let is_loading = ["FROM ", "docker-image://", "resolve "].iter().any(|word| what.starts_with(word));
        stage.starts_with('[') && !stage.ends_with("internal") && stage != "[ci-build" && !is_loading
    }
}

fn decoded(data: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(data).unwrap_or_default()
}

/// The end of a failed step's output is shown with the seconds since its start.
fn without_time(line: &str) -> &str {
    match line.split_once(' ') {
        Some((time, rest)) if time.contains('.') && time.parse::<f64>().is_ok() => rest,
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_in_a_directory_has_one_name() {
        let of = |number: u64| {
            format!(
                r#"{{"vertexes":[{{"digest":"sha256:1","name":"importing cache manifest from local:{number}","completed":"t"}}]}}"#
            )
        };
        assert_eq!(facts(&of(14)), facts(&of(180)));
    }

    /// As BuildKit told of the last step of an import, whose layers were then fetched for the export.
    #[test]
    fn a_step_that_is_fetched_stays_cached() {
        let text = r#"{"vertexes":[{"digest":"sha256:1","name":"[1/2] RUN a","started":"t","completed":"t"}]}
{"vertexes":[{"digest":"sha256:2","name":"[2/2] COPY a b","started":"t","completed":"t","cached":true}]}
{"vertexes":[{"digest":"sha256:2","name":"[2/2] COPY a b","started":"t","completed":"t"}]}
{"vertexes":[{"digest":"sha256:3","name":"[3/3] RUN never"}]}
{"vertexes":[{"digest":"sha256:0","name":"[internal] load metadata","completed":"t"}]}"#;
        assert_eq!(steps(text), [("[1/2] RUN a".to_owned(), false), ("[2/2] COPY a b".to_owned(), true)]);
    }

    #[test]
    fn steps_have_their_last_state() {
        let text = r##"{"vertexes":[{"digest":"sha256:1","name":"[1/2] RUN a","started":"t"}]}
{"vertexes":[{"digest":"sha256:1","name":"[1/2] RUN a","completed":"t"},{"digest":"sha256:2","name":"[2/2] RUN b","cached":true,"completed":"t"}]}
{"vertexes":[{"digest":"sha256:0","name":"[internal] load metadata","completed":"t","error":"no"}],"logs":[{"vertex":"sha256:1","stream":1,"data":"aGk="},{"vertex":"sha256:1","stream":2,"data":"aGE="}]}
{"warnings":[{"vertex":"sha256:1","level":1,"short":"d2Fy","url":"https://x","range":[{"start":{"line":2}}]}]}
 > [1/2] RUN a:
0.123 hi
0.122 ha
------
ERROR: failed to solve
"##;
        let shown: String = facts(text).iter().map(|(name, value)| format!("{name} = {value:?}\n")).collect();
        insta::assert_snapshot!(shown, @r#"
        cached = "1"
        digest[[1/2] RUN a] = "sha256:1"
        digest[[2/2] RUN b] = "sha256:2"
        digest[[internal] load metadata] = "sha256:0"
        error-log[[1/2] RUN a] = "ha"
        error[[internal] load metadata] = "no"
        executed = "1"
        log[[1/2] RUN a] = "hi"
        said = " > [1/2] RUN a:\nha\nhi\n------\nERROR: failed to solve"
        step[[1/2] RUN a] = "executed"
        step[[2/2] RUN b] = "cached"
        step[[internal] load metadata] = "failed"
        warning[war] = "1 https://x [{\"start\":{\"line\":2}}] "
        "#);
    }

    #[test]
    fn what_is_cancelled_is_not_counted() {
        let text = r##"{"vertexes":[{"digest":"sha256:1","name":"[1/2] RUN a","completed":"t","error":"context canceled"},{"digest":"sha256:2","name":"[2/2] RUN b","completed":"t"}]}"##;
        let facts = facts(text);
        assert_eq!((facts.get("executed"), facts.get("cached")), (Some(CANCELLED), Some(CANCELLED)));
        assert_eq!(facts.get("step[[1/2] RUN a]"), Some("cancelled"));
        assert_eq!(facts.get("error[[1/2] RUN a]"), None);
    }

    #[test]
    fn rules_have_no_order() {
        let said = |rules: &str| facts(&format!("ERROR: lint violation found for rules: {rules}\n"));
        assert_eq!(said("A, B"), said("B, A"));
        assert_ne!(said("A, B"), said("A, C"));
    }

    #[test]
    fn what_a_step_tells_is_seen() {
        let line = r#"{"logs":[{"vertex":"sha256:1","stream":1,"data":"aGk="}]}"#;
        assert!(tells(line, "hi") && !tells(line, "ho") && !tells("hi", "hi"));
    }
}
