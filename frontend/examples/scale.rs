//! Reads, judges and plans a generated Dockerfile of the given number of stages, and says how long each took.

use std::time::Instant;

use ci_build_frontend::dockerfile::{self, Options};
use ci_build_frontend::hazard;
use ci_build_frontend::plan::{Plan, Policy};

#[path = "../benches/support/mod.rs"]
mod support;

fn main() {
    for stages in std::env::args().skip(1).filter_map(|stages| stages.parse().ok()) {
        let text = support::dockerfile(stages);
        let begin = Instant::now();
        let parsed = dockerfile::parse(text.as_bytes()).expect("it is generated");
        let read = Instant::now();
        let graph = dockerfile::read("Dockerfile", &parsed, &Options::default()).expect("it is generated");
        let graphed = Instant::now();
        let findings = hazard::find(&graph);
        let found = Instant::now();
        let plan = Plan::of(&graph, &Policy::Auto.into());
        let planned = Instant::now();
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
        eprintln!(
            "{stages} stages, {} bytes: parse {:?}, graph {:?}, hazards {:?} ({}), plan {:?} ({} steps), {peak}",
            text.len(),
            read - begin,
            graphed - read,
            found - graphed,
            findings.len(),
            planned - found,
            plan.edits.len(),
        );
    }
}
