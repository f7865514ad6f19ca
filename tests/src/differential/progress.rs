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

/// The steps with what became of each, their output, the warnings, and what the client says by itself.
#[must_use]
pub fn facts(text: &str) -> Facts {
    let mut steps = BTreeMap::<String, Vertex>::new();
    let mut logs = BTreeMap::<String, Vec<u8>>::new();
    let mut facts = Facts::default();
    let mut own = String::new();
    for line in text.lines() {
        let Ok(status) = serde_json::from_str::<Status>(line) else {
            own += without_time(line);
            own.push('\n');
            continue;
        };
        for vertex in status.vertexes {
            let step = steps.entry(vertex.digest.clone()).or_insert_with(|| vertex.clone());
            step.cached |= vertex.cached;
            step.completed = vertex.completed.or(step.completed.take());
            if !vertex.error.is_empty() {
                step.error = vertex.error;
            }
        }
        for log in status.logs {
            logs.entry(log.vertex).or_default().extend(decoded(&log.data));
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
    own.truncate(own.trim_end().len());
    facts.put("said", own);
    put_steps(&steps, &logs, &mut facts);
    facts
}

fn put_steps(steps: &BTreeMap<String, Vertex>, logs: &BTreeMap<String, Vec<u8>>, facts: &mut Facts) {
    let (mut executed, mut cached) = (0, 0);
    // By name: digests order them differently each time.
    let mut steps: Vec<_> = steps.values().collect();
    steps.sort_by(|a, b| (&a.name, a.state(), &a.digest).cmp(&(&b.name, b.state(), &b.digest)));
    for step in steps {
        let name = step.steady_name();
        if step.is_of_dockerfile() {
            executed += usize::from(step.state() == "executed");
            cached += usize::from(step.state() == "cached");
        }
        facts.put(format!("step[{name}]"), step.state());
        facts.put(format!("digest[{name}]"), &step.digest);
        if !step.error.is_empty() {
            facts.put(format!("error[{name}]"), &step.error);
        }
        if let Some(group) = &step.group {
            facts.put(format!("group[{name}]"), &group["name"]);
        }
        if let Some(log) = logs.get(&step.digest) {
            facts.put(format!("log[{name}]"), String::from_utf8_lossy(log));
        }
    }
    facts.put("executed", executed);
    facts.put("cached", cached);
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
    /// targets of a bake file load.
    fn steady_name(&self) -> String {
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
    fn steps_have_their_last_state() {
        let text = r##"{"vertexes":[{"digest":"sha256:1","name":"[1/2] RUN a","started":"t"}]}
{"vertexes":[{"digest":"sha256:1","name":"[1/2] RUN a","completed":"t"},{"digest":"sha256:2","name":"[2/2] RUN b","cached":true,"completed":"t"}]}
{"vertexes":[{"digest":"sha256:0","name":"[internal] load metadata","completed":"t","error":"no"}],"logs":[{"vertex":"sha256:1","data":"aGk="}]}
{"warnings":[{"vertex":"sha256:1","level":1,"short":"d2Fy","url":"https://x","range":[{"start":{"line":2}}]}]}
 > [1/2] RUN a:
0.123 hi
ERROR: failed to solve
"##;
        let shown: String = facts(text).iter().map(|(name, value)| format!("{name} = {value:?}\n")).collect();
        insta::assert_snapshot!(shown, @r#"
        cached = "1"
        digest[[1/2] RUN a] = "sha256:1"
        digest[[2/2] RUN b] = "sha256:2"
        digest[[internal] load metadata] = "sha256:0"
        error[[internal] load metadata] = "no"
        executed = "1"
        log[[1/2] RUN a] = "hi"
        said = " > [1/2] RUN a:\nhi\nERROR: failed to solve"
        step[[1/2] RUN a] = "executed"
        step[[2/2] RUN b] = "cached"
        step[[internal] load metadata] = "failed"
        warning[war] = "1 https://x [{\"start\":{\"line\":2}}] "
        "#);
    }
}
