//! What can go wrong between the cache mounts of a build: one file a rule.

mod cache_identity_mismatch;
mod cache_lock_inversion;
mod checks;
mod finding;
mod mixed_cache_sharing;
mod nested_mountpoint_race;
mod platform_cache_collision;
mod shared_cache_race;
mod tool;
mod tool_lock_outside_mount;

pub use checks::{CheckOptions, Checks, FileChecks, UnknownOption};
pub use finding::{Finding, Severity};
pub(crate) use nested_mountpoint_race::mounts_inside;
pub(crate) use shared_cache_race::severity_of_sharing;

use crate::graph::BuildGraph;

/// A rule: what it is called and how its hazards are found.
pub struct Rule {
    /// The name, in the style of BuildKit's own rules, for `# check=skip=`.
    pub name: &'static str,
    /// What the hazard does, in one line.
    pub summary: &'static str,
    /// What is to be read about it.
    pub documentation: Documentation,
    find: fn(&'static Rule, &BuildGraph) -> Vec<Finding>,
}

/// What is to be read about a rule, in Markdown.
pub struct Documentation {
    /// When it finds something.
    pub what: &'static str,
    /// What happens then, with where that is known from.
    pub why: &'static str,
    /// A Dockerfile with the hazard.
    pub bad: &'static str,
    /// The same Dockerfile without it.
    pub good: &'static str,
    /// The platforms that the examples are built for; none is one.
    pub platforms: &'static [&'static str],
    /// How it is mended.
    pub mended: &'static str,
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Rule {}

/// All rules, in the order in which their findings are reported for one place.
pub static RULES: [&Rule; 7] = [
    &shared_cache_race::SHARED_CACHE_RACE,
    &nested_mountpoint_race::NESTED_MOUNTPOINT_RACE,
    &mixed_cache_sharing::MIXED_CACHE_SHARING,
    &cache_lock_inversion::CACHE_LOCK_INVERSION,
    &cache_identity_mismatch::CACHE_IDENTITY_MISMATCH,
    &platform_cache_collision::PLATFORM_CACHE_COLLISION,
    &tool_lock_outside_mount::TOOL_LOCK_OUTSIDE_MOUNT,
];

/// Everything that the rules find, in file order.
#[must_use]
pub fn find(graph: &BuildGraph) -> Vec<Finding> {
    let mut findings: Vec<_> = RULES.iter().flat_map(|rule| (rule.find)(rule, graph)).collect();
    findings.sort_by(|a, b| graph.file_order(a.at).cmp(&graph.file_order(b.at)));
    findings
}

/// Everything that the rules find and the file does not skip, in file order.
#[must_use]
pub fn find_except(graph: &BuildGraph, checks: &Checks) -> Vec<Finding> {
    let mut findings = find(graph);
    findings.retain(|finding| !checks.skip(graph, finding));
    findings
}

/// The rule with a name.
#[must_use]
pub fn rule(name: &str) -> Option<&'static Rule> {
    RULES.into_iter().find(|rule| rule.name == name)
}
