//! The graph of a build: its steps, their caches, who waits for whom.

mod cache;
mod concurrent;
mod reach;
mod step;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};

pub use cache::{CacheKey, CacheUse, Mount, MountKind, Sharing};
pub use concurrent::User;
use reach::Reach;
pub use step::{Location, Stage, Step};

/// A step's handle within its graph.
pub type StepIndex = NodeIndex<u32>;

/// A mount of a step: the step, and the mount's place among [`Step::mounts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MountRef {
    /// The step.
    pub step: StepIndex,
    /// The mount's place.
    pub mount: usize,
}

/// The steps depend on each other in a circle, so none of them can start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the build depends on itself: {step} needs its own result")]
pub struct CycleError {
    /// One of the steps of the cycle.
    pub step: String,
}

/// Collects steps and their dependencies.
#[derive(Debug, Default)]
pub struct GraphBuilder {
    dag: DiGraph<Step, ()>,
    stages: Vec<Stage>,
}

impl GraphBuilder {
    /// Adds a step.
    pub fn add(&mut self, step: Step) -> StepIndex {
        self.dag.add_node(step)
    }

    /// Names a stage that is built. A reader that knows none names none.
    pub fn stage(&mut self, stage: Stage) {
        self.stages.push(stage);
    }

    /// Says that `after` needs what `before` made.
    pub fn depend(&mut self, before: StepIndex, after: StepIndex) {
        self.dag.add_edge(before, after, ());
    }

    /// Says that a mount starts from what `input` made. A mount that is not there is passed over.
    pub fn start_from(&mut self, at: MountRef, input: StepIndex) {
        let step = self.dag.node_weight_mut(at.step);
        if let Some(mount) = step.and_then(|step| step.mounts.get_mut(at.mount)) {
            mount.input = Some(input);
        }
    }

    /// Orders the steps: of those that may come next, always the one that was added first. So what a reader adds in the
    /// order of its source stays in it, and whatever follows this order can be written down there.
    ///
    /// # Errors
    /// The steps depend on each other in a circle.
    pub fn finish(self) -> Result<BuildGraph, CycleError> {
        let order = self.in_order()?;
        let mut rank = vec![0; order.len()];
        for (place, step) in order.iter().enumerate() {
            rank[step.index()] = place;
        }
        let reach = Reach::new(&self.dag, &order);
        Ok(BuildGraph { dag: self.dag, stages: self.stages, order, rank, reach })
    }

    /// Each step after what it needs, and otherwise in the order in which they were added: that of the file, for a reader
    /// that goes through one.
    fn in_order(&self) -> Result<Vec<StepIndex>, CycleError> {
        let steps = self.dag.node_indices();
        let mut missing: Vec<_> =
            steps.map(|step| self.dag.neighbors_directed(step, Direction::Incoming).count()).collect();
        let ready = self.dag.node_indices().filter(|step| missing[step.index()] == 0);
        let mut ready: BinaryHeap<_> = ready.map(Reverse).collect();
        let mut order = Vec::with_capacity(missing.len());
        while let Some(Reverse(step)) = ready.pop() {
            order.push(step);
            for next in self.dag.neighbors_directed(step, Direction::Outgoing) {
                missing[next.index()] -= 1;
                if missing[next.index()] == 0 {
                    ready.push(Reverse(next));
                }
            }
        }
        let mut steps = self.dag.node_indices();
        match steps.find(|step| missing[step.index()] > 0) {
            Some(step) => Err(CycleError { step: self.dag[step].to_string() }),
            None => Ok(order),
        }
    }
}

/// What a build will do. Acyclic by construction.
#[derive(Debug, Clone)]
pub struct BuildGraph {
    dag: DiGraph<Step, ()>,
    stages: Vec<Stage>,
    order: Vec<StepIndex>,
    rank: Vec<usize>,
    reach: Reach,
}

impl BuildGraph {
    /// The stages that are built, in file order, where the reader knows them.
    #[must_use]
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// The step behind a handle of this graph.
    #[must_use]
    pub fn step(&self, index: StepIndex) -> &Step {
        &self.dag[index]
    }

    /// The mount behind a handle of this graph.
    #[must_use]
    pub fn mount(&self, at: MountRef) -> &Mount {
        &self.step(at.step).mounts[at.mount]
    }

    /// All steps, each after what it depends on.
    pub fn steps(&self) -> impl DoubleEndedIterator<Item = (StepIndex, &Step)> {
        self.order.iter().map(|index| (*index, &self.dag[*index]))
    }

    /// The steps that need `step`'s result directly.
    pub fn dependents(&self, step: StepIndex) -> impl Iterator<Item = StepIndex> {
        self.dag.neighbors_directed(step, Direction::Outgoing)
    }

    /// The steps whose results `step` needs directly.
    pub fn dependencies(&self, step: StepIndex) -> impl Iterator<Item = StepIndex> {
        self.dag.neighbors_directed(step, Direction::Incoming)
    }

    /// A step's place in an order in which each step comes after what it depends on.
    #[must_use]
    pub fn rank(&self, step: StepIndex) -> usize {
        self.rank[step.index()]
    }

    /// Whether the build has steps for more than one platform.
    #[must_use]
    pub fn is_multi_platform(&self) -> bool {
        let mut platforms = self.dag.node_weights().filter_map(Step::built_for);
        platforms.next().is_some_and(|first| platforms.any(|other| other != first))
    }

    /// Every cache with its mounts, both in a stable order.
    #[must_use]
    pub fn caches(&self) -> BTreeMap<&CacheKey, Vec<MountRef>> {
        let mut caches = BTreeMap::<_, Vec<_>>::new();
        for (index, step) in self.steps() {
            for (mount, _, cache) in step.caches() {
                caches.entry(&cache.key).or_default().push(MountRef { step: index, mount });
            }
        }
        caches
    }

    /// Where a mount stands in the source, for sorting: what has no place comes first, in the build's order.
    #[must_use]
    pub fn file_order(&self, at: MountRef) -> (Option<&Location>, usize, usize) {
        (self.step(at.step).location.as_ref(), self.rank(at.step), at.mount)
    }

    /// The same build with more dependencies, each from the step that comes first. They may turn the order of the build
    /// around; if all of them together run in a circle, those that do are left out that do not follow it.
    #[must_use]
    pub fn with_dependencies(&self, more: impl IntoIterator<Item = (StepIndex, StepIndex)>) -> Self {
        let more: Vec<_> = more.into_iter().collect();
        if more.is_empty() {
            return self.clone();
        }
        let with = |more: &[(StepIndex, StepIndex)]| {
            let mut builder = GraphBuilder { dag: self.dag.clone(), stages: self.stages.clone() };
            more.iter().for_each(|(before, after)| builder.depend(*before, *after));
            builder.finish()
        };
        let follows = |(before, after): &(StepIndex, StepIndex)| self.rank(*before) < self.rank(*after);
        with(&more)
            .or_else(|_| with(&more.iter().copied().filter(follows).collect::<Vec<_>>()))
            .unwrap_or_else(|_| self.clone())
    }

    /// The same build with some steps changed. The dependencies stay.
    #[must_use]
    pub fn map_steps(&self, change: impl FnMut(StepIndex, &Step) -> Step) -> Self {
        let dag = self.dag.map(change, |_, ()| ());
        Self {
            dag,
            stages: self.stages.clone(),
            order: self.order.clone(),
            rank: self.rank.clone(),
            reach: self.reach.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(dependencies: &[(usize, usize)]) -> Result<BuildGraph, CycleError> {
        let mut builder = GraphBuilder::default();
        let add = |id: usize| builder.add(Step { id: id.to_string(), ..Step::default() });
        let steps: Vec<_> = (0..5).map(add).collect();
        for (before, after) in dependencies {
            builder.depend(steps[*before], steps[*after]);
        }
        builder.finish()
    }

    #[test]
    fn steps_stay_in_the_order_in_which_they_were_added() {
        let order = |dependencies: &[_]| -> String {
            graph(dependencies).unwrap().steps().map(|(_, step)| step.id.clone()).collect()
        };
        assert_eq!(order(&[]), "01234");
        assert_eq!(order(&[(0, 4), (1, 4), (1, 4)]), "01234");
        assert_eq!(order(&[(3, 0), (4, 1)]), "23041");
    }

    #[test]
    fn more_dependencies_may_turn_the_order_around_but_not_into_a_circle() {
        let before = graph(&[(0, 4)]).unwrap();
        let order = |more: &[(u32, u32)]| -> String {
            let more = more.iter().map(|(a, b)| (StepIndex::from(*a), StepIndex::from(*b)));
            before.with_dependencies(more).steps().map(|(_, step)| step.id.clone()).collect()
        };
        assert_eq!(order(&[]), "01234");
        assert_eq!(order(&[(4, 1), (3, 0)]), "23041");
        assert_eq!(order(&[(4, 0), (0, 1)]), "01234");
        let circle = before.with_dependencies([(StepIndex::from(4), StepIndex::from(0))]);
        assert!(!circle.are_concurrent(StepIndex::from(0), StepIndex::from(4)), "the build's own stay");
    }

    #[test]
    fn a_circle_names_one_of_its_steps() {
        let error = graph(&[(0, 1), (2, 3), (3, 2), (3, 4)]).unwrap_err();
        assert!(["step 2", "step 3"].contains(&&*error.step), "{error}");
    }
}
