//! Concurrent steps take the locks of the same caches in conflicting orders, and wait for each other for ever.
//!
//! The engine takes a step's locks one after another, in the order of its mounts, and keeps them while it waits for
//! the next (`solver/llbsolver/mounts/mount.go`, `getRefCacheDirNoCache`). So an edge leads from each locked cache of
//! a step to each that the step takes later; a cycle of edges that belong to mutually concurrent steps can hang.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

use super::{Finding, Rule, Severity};
use crate::graph::{BuildGraph, CacheKey, MountRef, Sharing, StepIndex};

/// See [`super::RULES`].
pub(super) static CACHE_LOCK_INVERSION: Rule = Rule {
    name: "CacheLockInversion",
    summary: "concurrent steps lock the same caches in conflicting orders and wait for each other for ever",
    find,
};

/// The search ends after this many tries in one group of entangled caches: the number of cycles can be exponential.
const TRIES: usize = 20_000;

fn find(rule: &'static Rule, graph: &BuildGraph) -> Vec<Finding> {
    let waits = Waits::of(graph);
    waits
        .entangled()
        .iter()
        .flat_map(|group| waits.cycles(graph, group))
        .filter_map(|cycle| cycle.finding(rule, graph))
        .collect()
}

/// Which cache's lock is awaited while which other is held, and by whom.
struct Waits<'g> {
    caches: DiGraph<&'g CacheKey, Vec<Wait>>,
}

/// A step that holds one lock and awaits another.
#[derive(Debug, Clone, Copy)]
struct Wait {
    step: StepIndex,
    held: usize,
    awaited: usize,
}

impl<'g> Waits<'g> {
    fn of(graph: &'g BuildGraph) -> Self {
        let mut caches = DiGraph::new();
        let mut nodes = BTreeMap::new();
        let mut edges = BTreeMap::<_, Vec<Wait>>::new();
        for (index, step) in graph.steps() {
            let mut taken: Vec<(usize, NodeIndex)> = Vec::new();
            for (mount, _, cache) in step.caches().filter(|(_, _, cache)| cache.sharing == Sharing::Locked) {
                let node = *nodes.entry(&cache.key).or_insert_with(|| caches.add_node(&cache.key));
                if taken.iter().any(|(_, held)| *held == node) {
                    continue; // a step shares a lock with itself
                }
                for (held, from) in &taken {
                    let wait = Wait { step: index, held: *held, awaited: mount };
                    edges.entry((*from, node)).or_default().push(wait);
                }
                taken.push((mount, node));
            }
        }
        for ((from, to), waits) in edges {
            caches.add_edge(from, to, waits);
        }
        Self { caches }
    }

    /// Groups of caches that are entangled: each can be reached from each other.
    fn entangled(&self) -> Vec<Vec<NodeIndex>> {
        let mut groups = petgraph::algo::tarjan_scc(&self.caches);
        groups.retain(|group| group.len() > 1);
        for group in &mut groups {
            group.sort_by_key(|node| self.caches[*node]);
        }
        groups.sort_by_key(|group| self.caches[group[0]]);
        groups
    }

    /// The cycles of a group whose steps are mutually concurrent, one for each set of caches. Where the search gives
    /// up, the group as a whole.
    fn cycles(&self, graph: &BuildGraph, group: &[NodeIndex]) -> Vec<Cycle> {
        let mut search = Search { waits: self, graph, found: BTreeMap::new(), tries: TRIES };
        for place in 0..group.len() {
            // Each cycle is found from its first cache alone.
            let allowed: BTreeSet<_> = group[place..].iter().copied().collect();
            if search.from(group[place], &allowed).is_err() {
                return vec![self.whole(group)];
            }
        }
        search.found.into_values().collect()
    }

    /// The waits along the edges between `at` and the caches of `allowed`.
    fn next(&self, at: NodeIndex, allowed: &BTreeSet<NodeIndex>) -> Vec<(NodeIndex, Wait)> {
        let edges = self.caches.edges(at).filter(|edge| allowed.contains(&edge.target()));
        edges.flat_map(|edge| edge.weight().iter().map(move |wait| (edge.target(), *wait))).collect()
    }

    fn whole(&self, group: &[NodeIndex]) -> Cycle {
        let allowed = group.iter().copied().collect();
        let waits = group.iter().flat_map(|at| self.next(*at, &allowed)).map(|(_, wait)| wait).collect();
        Cycle { caches: group.iter().map(|node| self.caches[*node].clone()).collect(), waits }
    }
}

/// The search ran out of tries.
struct GaveUp;

struct Search<'a, 'g> {
    waits: &'a Waits<'g>,
    graph: &'a BuildGraph,
    found: BTreeMap<Vec<CacheKey>, Cycle>,
    tries: usize,
}

/// A cache on the path, what may come next, and the wait that was chosen.
struct Frame {
    at: NodeIndex,
    next: std::vec::IntoIter<(NodeIndex, Wait)>,
    chosen: Option<Wait>,
}

impl Search<'_, '_> {
    /// Finds the paths of mutually concurrent waits that lead from `start` back to it, depth first.
    fn from(&mut self, start: NodeIndex, allowed: &BTreeSet<NodeIndex>) -> Result<(), GaveUp> {
        let frame = |at| Frame { at, next: self.waits.next(at, allowed).into_iter(), chosen: None };
        let mut path = vec![frame(start)];
        while let Some(top) = path.last_mut() {
            top.chosen = None;
            let Some((next, wait)) = top.next.next() else {
                path.pop();
                continue;
            };
            self.tries = self.tries.checked_sub(1).ok_or(GaveUp)?;
            let mut chosen = path.iter().filter_map(|frame| frame.chosen);
            if !chosen.all(|other| self.graph.are_concurrent(wait.step, other.step)) {
                continue;
            }
            let closes = next == start;
            if !closes && path.iter().any(|frame| frame.at == next) {
                continue;
            }
            if let Some(top) = path.last_mut() {
                top.chosen = Some(wait);
            }
            if closes {
                let caches: Vec<_> = path.iter().map(|frame| self.waits.caches[frame.at].clone()).collect();
                let mut set = caches.clone();
                set.sort();
                let waits = path.iter().filter_map(|frame| frame.chosen).collect();
                self.found.entry(set).or_insert(Cycle { caches, waits });
            } else {
                path.push(frame(next));
            }
        }
        Ok(())
    }
}

struct Cycle {
    caches: Vec<CacheKey>,
    waits: Vec<Wait>,
}

impl Cycle {
    fn finding(self, rule: &'static Rule, graph: &BuildGraph) -> Option<Finding> {
        let mounts = self
            .waits
            .iter()
            .flat_map(|wait| [wait.held, wait.awaited].map(|mount| MountRef { step: wait.step, mount }));
        let names: Vec<_> = self.caches.iter().map(ToString::to_string).collect();
        let message = format!(
            "concurrent steps lock the caches {} in conflicting orders and can wait for each other for ever",
            names.join(", "),
        );
        let mounts = mounts.collect::<BTreeSet<_>>().into_iter().collect();
        Finding::new(graph, rule, Severity::Error, self.caches, mounts, message)
    }
}
