//! For scripts: one document.

use serde::Serialize;

use super::Checked;
use crate::graph::{BuildGraph, MountRef};
use crate::plan::Mended;

#[derive(Serialize)]
struct Document<'c> {
    schema: u32,
    files: Vec<File<'c>>,
}

#[derive(Serialize)]
struct File<'c> {
    path: &'c str,
    findings: Vec<Finding<'c>>,
}

#[derive(Serialize)]
pub(in crate::report) struct Finding<'c> {
    rule: &'static str,
    severity: String,
    caches: Vec<String>,
    stage: Option<&'c str>,
    line: Option<u32>,
    message: &'c str,
    related: Vec<Related<'c>>,
    strategy: String,
}

#[derive(Serialize, PartialEq, Eq, Clone, Copy)]
struct Related<'c> {
    stage: Option<&'c str>,
    line: Option<u32>,
}

/// `{"schema":1,"files":[…]}` on one line.
#[must_use]
pub fn json(files: &[Checked<'_>]) -> String {
    let files = files.iter().map(|file| File {
        path: file.path,
        findings: file.mended.iter().map(|mended| finding(file.graph, mended)).collect(),
    });
    document(&Document { schema: 1, files: files.collect() })
}

/// A document as one line of text.
pub(in crate::report) fn document(document: &impl Serialize) -> String {
    let mut text = serde_json::to_string(document).expect("no map in it has keys that are no text");
    text.push('\n');
    text
}

/// A finding and what mends it. The steps beside the one where it is placed, each once.
pub(in crate::report) fn finding<'c>(graph: &'c BuildGraph, mended: &'c Mended) -> Finding<'c> {
    let finding = &mended.finding;
    let at = place(graph, finding.at);
    let mut related: Vec<_> = finding.related.iter().map(|related| place(graph, *related)).collect();
    related.dedup();
    related.retain(|place| *place != at);
    // Caches that differ in what they start from alone have one name.
    let mut caches: Vec<_> = finding.caches.iter().map(ToString::to_string).collect();
    caches.dedup();
    Finding {
        rule: finding.rule.name,
        severity: finding.severity.to_string(),
        caches,
        stage: at.stage,
        line: at.line,
        message: &finding.message,
        related,
        strategy: mended.strategy.to_string(),
    }
}

fn place(graph: &BuildGraph, at: MountRef) -> Related<'_> {
    let step = graph.step(at.step);
    Related { stage: step.stage.as_deref(), line: step.location.as_ref().map(|location| location.line) }
}
