//! What a build is and what the plan makes of it, in several forms.

mod dot;
mod grid;
mod json;
mod mermaid;
mod outline;
mod svg;
mod text;
mod wording;

pub use dot::dot;
pub use json::json;
pub use mermaid::mermaid;
pub use svg::svg;
pub use text::text;

use std::collections::{BTreeMap, BTreeSet};

use super::check::counted;
use super::escape::plain;
use crate::graph::{BuildGraph, CacheKey, MountRef, StepIndex};
use crate::hazard::Severity;
use crate::plan::{Change, Plan, Strategy};

/// A build and its plan.
#[derive(Debug, Clone)]
pub struct Planned<'p> {
    path: &'p str,
    graph: &'p BuildGraph,
    plan: &'p Plan,
    changes: Vec<Change>,
}

impl<'p> Planned<'p> {
    /// `path` as the user gave it, the graph that was read of it, and what is to change.
    #[must_use]
    pub fn new(path: &'p str, graph: &'p BuildGraph, plan: &'p Plan) -> Self {
        Self { path, graph, plan, changes: plan.changes(graph) }
    }

    /// The steps with caches, in file order.
    fn steps(&self) -> Vec<StepIndex> {
        let steps = self.graph.steps().filter(|(_, step)| step.caches().next().is_some());
        let mut steps: Vec<_> = steps.map(|(index, _)| index).collect();
        steps.sort_by_key(|step| self.graph.file_order(MountRef { step: *step, mount: 0 }));
        steps
    }

    /// What becomes of a mount, in words: `shared`, `shared → locked`, `locked ↕` where it is locked in another order,
    /// `shared, mountpoints made before`.
    fn sharing(&self, at: MountRef) -> String {
        let Some(before) = &self.graph.mount(at).cache else { return String::new() };
        let edit = self.plan.edits.get(&at.step);
        let after = edit.and_then(|edit| edit.caches.get(&at.mount));
        let mut text = before.sharing.to_string();
        if let Some(after) = after.filter(|after| after.sharing != before.sharing) {
            text.push_str(&format!(" → {}", after.sharing));
        }
        let order = edit.and_then(|edit| edit.order.as_ref());
        if let Some(place) = order.and_then(|order| order.iter().position(|from| *from == at.mount))
            && place != at.mount
        {
            text.push_str(" ↕");
        }
        if self.plan.primer.as_ref().is_some_and(|primer| primer.mounts.contains(&at)) {
            text.push_str(", mountpoints made before");
        }
        text
    }

    /// The id that a mount gets instead of its own.
    fn new_id(&self, at: MountRef) -> Option<String> {
        let before = self.graph.mount(at).cache.as_ref()?;
        let after = self.plan.edits.get(&at.step)?.caches.get(&at.mount)?;
        (after.key != before.key).then(|| after.key.to_string())
    }

    /// Whether [`Planned::sharing`] tells of a change.
    fn is_changed(&self, at: MountRef) -> bool {
        self.graph.mount(at).cache.as_ref().is_some_and(|cache| self.sharing(at) != cache.sharing.name())
    }

    /// The file.
    fn title(&self) -> String {
        plain(self.path)
    }

    /// How much there is of everything.
    fn summary(&self) -> String {
        let count = |severity| {
            let findings = self.plan.mended.iter().map(|mended| &mended.finding);
            findings.filter(|finding| finding.severity == severity).count()
        };
        let found = [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Note, "note")];
        let found = found.map(|(severity, what)| (count(severity), what)).into_iter();
        let found: Vec<_> =
            found.filter(|(count, _)| *count > 0).map(|(count, what)| counted(count, what)).collect();
        let changed = self.changes.iter().map(|change| change.step).collect::<BTreeSet<_>>().len();
        let changes = match (changed, self.plan.primer.is_some()) {
            (0, false) => "nothing to change".to_owned(),
            (0, true) => "1 step to add".to_owned(),
            (changed, false) => format!("{} to change", counted(changed, "step")),
            (changed, true) => format!("{} to change, 1 to add", counted(changed, "step")),
        };
        format!(
            "{}, {} with caches; {}; {changes}",
            counted(self.graph.stages().len(), "stage"),
            counted(self.steps().len(), "step"),
            if found.is_empty() { "no hazards".to_owned() } else { found.join(", ") },
        )
    }

    /// What every form begins with.
    fn headline(&self) -> String {
        format!("{}: {}", self.title(), self.summary())
    }

    /// The orders that the plan adds: before, after.
    fn orders(&self) -> Vec<(StepIndex, StepIndex)> {
        let ordered = self.changes.iter().filter(|change| change.strategy == Strategy::Order);
        let mut orders: Vec<_> =
            ordered.flat_map(|change| change.after.iter().map(|before| (*before, change.step))).collect();
        orders.sort_unstable();
        orders.dedup();
        orders
    }

    /// The numbers of the caches, in the order of their keys: what colours go by.
    fn cache_numbers(&self) -> BTreeMap<&'p CacheKey, usize> {
        self.graph.caches().into_keys().enumerate().map(|(number, key)| (key, number)).collect()
    }
}
