//! What a build is and what the plan makes of it, in several forms.

mod dot;
mod json;
mod mermaid;
mod outline;
mod svg;
mod text;

pub use dot::dot;
pub use json::json;
pub use mermaid::mermaid;
pub use svg::svg;
pub use text::text;

use std::collections::{BTreeMap, BTreeSet};

use super::check::counted;
use super::escape::plain;
use crate::graph::{BuildGraph, CacheKey, MountRef, StepIndex};
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

    /// What becomes of a mount, in words: `shared`, `shared → locked`, `shared → id b@web`, `shared, mountpoints made before`.
    fn sharing(&self, at: MountRef) -> String {
        let Some(before) = &self.graph.mount(at).cache else { return String::new() };
        let edit = self.plan.edits.get(&at.step);
        let after = edit.and_then(|edit| edit.caches.get(&at.mount));
        let mut text = before.sharing.to_string();
        if let Some(after) = after {
            if after.sharing != before.sharing {
                text.push_str(&format!(" → {}", after.sharing));
            }
            if after.key != before.key {
                text.push_str(&format!(" → {}", after.key));
            }
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

    /// What every form begins with.
    fn headline(&self) -> String {
        let hazards = self.plan.mended.len();
        let changed = self.changes.iter().map(|change| change.step).collect::<BTreeSet<_>>().len();
        format!(
            "{}: {}, {} with caches, {}, {}",
            plain(self.path),
            counted(self.graph.stages().len(), "stage"),
            counted(self.steps().len(), "step"),
            if hazards == 0 { "no hazards".to_owned() } else { counted(hazards, "hazard") },
            if changed == 0 {
                "nothing to change".to_owned()
            } else {
                format!("{} to change", counted(changed, "step"))
            },
        )
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
