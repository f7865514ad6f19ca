//! What `check` found, in several forms.

mod github;
mod json;
mod sarif;
mod text;

pub use github::github;
pub use json::json;
pub(super) use json::{Finding, document, finding};
pub use sarif::sarif;
pub use text::text;

use super::place::Lines;
use crate::graph::{BuildGraph, MountRef};
use crate::hazard::Severity;
use crate::plan::Mended;

/// A file that was checked.
#[derive(Debug, Clone)]
pub struct Checked<'c> {
    path: &'c str,
    source: &'c str,
    lines: Lines<'c>,
    graph: &'c BuildGraph,
    mended: &'c [Mended],
}

impl<'c> Checked<'c> {
    /// `path` as the user gave it, its text, the graph that was read of it, and what was found with what mends it.
    #[must_use]
    pub fn new(path: &'c str, source: &'c str, graph: &'c BuildGraph, mended: &'c [Mended]) -> Self {
        Self { path, source, lines: Lines::new(source), graph, mended }
    }
}

/// How many findings there are of a severity.
fn count(files: &[Checked<'_>], severity: Severity) -> usize {
    let findings = files.iter().flat_map(|file| file.mended);
    findings.filter(|mended| mended.finding.severity == severity).count()
}

/// `1 file`, `2 files`.
pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// What a mount is to a finding, in a few words: its stage, and its cache where there are several.
fn role(graph: &BuildGraph, mended: &Mended, at: MountRef) -> String {
    let step = graph.step(at.step);
    let stage = step.stage.as_deref().unwrap_or("the build");
    match &graph.mount(at).cache {
        Some(cache) if mended.finding.caches.len() > 1 => format!("cache {}, in stage {stage}", cache.key),
        Some(cache) => format!("sharing={}, in stage {stage}", cache.sharing),
        None => format!("in stage {stage}"),
    }
}
