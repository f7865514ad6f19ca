//! Who reaches whom, quickly where the answer is no.
//!
//! Each step gets an interval such that a step's interval holds those of all steps that it reaches: its place in a
//! depth-first post-order, and the smallest place that it reaches. Where one interval does not hold another, there is no
//! path; elsewhere a search has to tell, and is pruned by the intervals. Two orders prune more than one.

use petgraph::Direction;
use petgraph::graph::DiGraph;

use super::{Step, StepIndex};

/// The intervals of all steps.
#[derive(Debug, Clone, Default)]
pub(super) struct Reach {
    intervals: [Vec<(u32, u32)>; 2],
}

impl Reach {
    /// Linear in steps and dependencies. `order` is topological.
    pub(super) fn new(dag: &DiGraph<Step, ()>, order: &[StepIndex]) -> Self {
        let forwards = intervals(dag, order.iter().copied(), false);
        let backwards = intervals(dag, order.iter().rev().copied(), true);
        Self { intervals: [forwards, backwards] }
    }

    /// Whether there may be a path.
    pub(super) fn may(&self, from: StepIndex, to: StepIndex) -> bool {
        self.intervals.iter().all(|intervals| {
            let (outer, inner) = (intervals[from.index()], intervals[to.index()]);
            outer.0 <= inner.0 && inner.1 <= outer.1
        })
    }
}

/// One depth-first post-order, with the roots and the children in the given direction.
fn intervals(
    dag: &DiGraph<Step, ()>,
    roots: impl Iterator<Item = StepIndex>,
    reversed: bool,
) -> Vec<(u32, u32)> {
    let mut intervals = vec![(u32::MAX, u32::MAX); dag.node_count()];
    let mut seen = vec![false; dag.node_count()];
    let mut next = 0;
    let children = |step| {
        let mut children: Vec<_> = dag.neighbors_directed(step, Direction::Outgoing).collect();
        if reversed {
            children.reverse();
        }
        children.into_iter()
    };
    for root in roots {
        if std::mem::replace(&mut seen[root.index()], true) {
            continue;
        }
        let mut stack = vec![(root, children(root))];
        while let Some((step, pending)) = stack.last_mut() {
            if let Some(child) = pending.next() {
                if !std::mem::replace(&mut seen[child.index()], true) {
                    stack.push((child, children(child)));
                }
                continue;
            }
            let below = dag.neighbors_directed(*step, Direction::Outgoing);
            let lowest = below.map(|child| intervals[child.index()].0).min().unwrap_or(next).min(next);
            intervals[step.index()] = (lowest, next);
            next += 1;
            stack.pop();
        }
    }
    intervals
}
