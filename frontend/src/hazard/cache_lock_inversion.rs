//! Concurrent steps take the locks of the same caches in conflicting orders, and wait for each other for ever.
//!
//! The engine takes a step's locks one after another, in the order of its mounts, and keeps them while it waits for
//! the next (`solver/llbsolver/mounts/mount.go`, `getRefCacheDirNoCache`). So an edge leads from each locked cache of
//! a step to each that the step takes later. A build can hang exactly when there is a cycle of edges that belong to
//! mutually concurrent steps, no two of which have taken one lock by then: a lock that two of them take first lets only
//! one of them on.

use std::collections::{BTreeMap, HashMap};

use petgraph::graph::{DiGraph, NodeIndex};

use super::{Documentation, Finding, Rule, Severity};
use crate::graph::{BuildGraph, CacheKey, MountRef, Sharing, StepIndex};

/// See [`super::RULES`].
pub(super) static CACHE_LOCK_INVERSION: Rule = Rule {
    name: "CacheLockInversion",
    summary: "concurrent steps lock the same caches in conflicting orders and wait for each other for ever",
    documentation: Documentation {
        what: "\
Steps that may run at the same time lock the same caches in conflicting orders: each holds what another one waits for.",
        why: "\
The engine takes the locks of a step one after the other, in the order of the mounts' targets, and keeps those that it has
while it waits (`solver/llbsolver/mounts/mount.go` in <https://github.com/moby/buildkit>). Two steps that want the same two
caches in opposite orders can wait for each other for ever: the build hangs, without a message.",
        bad: r"FROM debian AS a
RUN --mount=type=cache,id=x,target=/1,sharing=locked \
    --mount=type=cache,id=y,target=/2,sharing=locked make a
FROM debian AS b
RUN --mount=type=cache,id=y,target=/1,sharing=locked \
    --mount=type=cache,id=x,target=/2,sharing=locked make b
FROM scratch
COPY --from=a /a /
COPY --from=b /b /
",
        good: r"FROM debian AS a
RUN --mount=type=cache,id=x,target=/1,sharing=locked \
    --mount=type=cache,id=y,target=/2,sharing=locked make a
FROM debian AS b
RUN --mount=type=cache,id=x,target=/1,sharing=locked \
    --mount=type=cache,id=y,target=/2,sharing=locked make b
FROM scratch
COPY --from=a /a /
COPY --from=b /b /
",
        platforms: &[],
        mended: "\
By `lock`: every step that is involved takes its locks in one order, that of the caches' ids. By hand, let the targets sort as
the ids do.",
    },
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

/// The locks of a build, and who takes them.
struct Waits<'g> {
    /// The caches, with an edge from each to the one that a step takes next.
    caches: DiGraph<&'g CacheKey, ()>,
    holders: Vec<Holder>,
    /// Who takes a cache's lock, by holder and place.
    takers: Vec<Vec<(usize, usize)>>,
}

/// A step that takes locks.
struct Holder {
    step: StepIndex,
    /// The mount and its cache, in the order in which they are taken, each cache once: a step shares a lock with itself.
    locks: Vec<(usize, NodeIndex)>,
    /// The places of the caches in `locks`.
    places: HashMap<NodeIndex, usize>,
}

/// A holder that holds the lock of one place and awaits that of another.
#[derive(Debug, Clone, Copy)]
struct Wait {
    holder: usize,
    held: usize,
    awaited: usize,
}

impl<'g> Waits<'g> {
    fn of(graph: &'g BuildGraph) -> Self {
        let mut waits = Self { caches: DiGraph::new(), holders: Vec::new(), takers: Vec::new() };
        let mut nodes = BTreeMap::new();
        for (index, step) in graph.steps() {
            let mut holder = Holder { step: index, locks: Vec::new(), places: HashMap::new() };
            for (mount, _, cache) in step.caches().filter(|(_, _, cache)| cache.sharing == Sharing::Locked) {
                let node = *nodes.entry(&cache.key).or_insert_with(|| {
                    waits.takers.push(Vec::new());
                    waits.caches.add_node(&cache.key)
                });
                let place = holder.locks.len();
                if *holder.places.entry(node).or_insert(place) != place {
                    continue;
                }
                if let Some((_, previous)) = holder.locks.last() {
                    waits.caches.update_edge(*previous, node, ());
                }
                holder.locks.push((mount, node));
                waits.takers[node.index()].push((waits.holders.len(), place));
            }
            waits.holders.push(holder);
        }
        waits
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

    /// The cycles of a group that can hang, one for each set of caches. Where the search gives up, the group as a whole.
    fn cycles(&self, graph: &BuildGraph, group: &[NodeIndex]) -> Vec<Cycle> {
        let places = group.iter().enumerate().map(|(place, node)| (*node, place)).collect();
        let mut search = Search {
            waits: self,
            graph,
            places,
            concurrent: HashMap::new(),
            found: BTreeMap::new(),
            tries: TRIES,
        };
        for start in group {
            if search.from(*start).is_err() {
                return vec![self.whole(group, &search.places)];
            }
        }
        search.found.into_values().collect()
    }

    fn whole(&self, group: &[NodeIndex], places: &HashMap<NodeIndex, usize>) -> Cycle {
        let in_group = |holder: &Holder| {
            let locks = holder.locks.iter().filter(|(_, node)| places.contains_key(node));
            locks.map(|(mount, _)| MountRef { step: holder.step, mount: *mount }).collect::<Vec<_>>()
        };
        Cycle {
            caches: group.iter().map(|node| self.caches[*node].clone()).collect(),
            mounts: self.holders.iter().map(in_group).filter(|locks| locks.len() > 1).flatten().collect(),
        }
    }

    /// Whether two holders have taken a lock that is the same, each when it awaits its next one.
    fn contend(&self, a: Wait, b: Wait) -> bool {
        let (few, many) = if a.awaited <= b.awaited { (a, b) } else { (b, a) };
        let others = &self.holders[many.holder].places;
        let taken = &self.holders[few.holder].locks[..few.awaited];
        taken.iter().any(|(_, node)| others.get(node).is_some_and(|place| *place < many.awaited))
    }
}

/// The search ran out of tries.
struct GaveUp;

struct Search<'a, 'g> {
    waits: &'a Waits<'g>,
    graph: &'a BuildGraph,
    /// The places of the caches in their group.
    places: HashMap<NodeIndex, usize>,
    /// What is known of pairs of steps.
    concurrent: HashMap<(StepIndex, StepIndex), bool>,
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
    /// Finds the paths of waits that can come about together and lead from `start` back to it, depth first. Each cycle
    /// is found from its first cache alone.
    fn from(&mut self, start: NodeIndex) -> Result<(), GaveUp> {
        let mut path = vec![self.frame(start, start)];
        while let Some(top) = path.last_mut() {
            top.chosen = None;
            let Some((next, wait)) = top.next.next() else {
                path.pop();
                continue;
            };
            self.tries = self.tries.checked_sub(1).ok_or(GaveUp)?;
            if !path.iter().filter_map(|frame| frame.chosen).all(|other| self.are_compatible(wait, other)) {
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
                self.close(&path);
            } else {
                path.push(self.frame(next, start));
            }
        }
        Ok(())
    }

    /// The waits for caches that come no earlier in the group than `start`, while `at` is held.
    fn frame(&self, at: NodeIndex, start: NodeIndex) -> Frame {
        let first = self.places.get(&start);
        let mut next = Vec::new();
        for (holder, held) in self.waits.takers[at.index()].iter().copied() {
            let locks = self.waits.holders[holder].locks.iter().enumerate().skip(held + 1);
            let allowed = locks.filter(|(_, (_, node))| {
                let place = self.places.get(node);
                place.is_some() && place >= first
            });
            next.extend(allowed.map(|(awaited, (_, node))| (*node, Wait { holder, held, awaited })));
        }
        Frame { at, next: next.into_iter(), chosen: None }
    }

    fn are_compatible(&mut self, a: Wait, b: Wait) -> bool {
        let [first, second] = [a, b].map(|wait| self.waits.holders[wait.holder].step);
        let pair = (first.min(second), first.max(second));
        let graph = self.graph;
        *self.concurrent.entry(pair).or_insert_with(|| graph.are_concurrent(first, second))
            && !self.waits.contend(a, b)
    }

    fn close(&mut self, path: &[Frame]) {
        let caches: Vec<_> = path.iter().map(|frame| self.waits.caches[frame.at].clone()).collect();
        let mut set = caches.clone();
        set.sort();
        let mounts = path.iter().filter_map(|frame| frame.chosen).flat_map(|wait| {
            let Holder { step, locks, .. } = &self.waits.holders[wait.holder];
            [wait.held, wait.awaited].map(|place| MountRef { step: *step, mount: locks[place].0 })
        });
        self.found.entry(set).or_insert(Cycle { caches, mounts: mounts.collect() });
    }
}

struct Cycle {
    caches: Vec<CacheKey>,
    mounts: Vec<MountRef>,
}

impl Cycle {
    fn finding(self, rule: &'static Rule, graph: &BuildGraph) -> Option<Finding> {
        let names: Vec<_> = self.caches.iter().map(ToString::to_string).collect();
        let message = format!(
            "concurrent steps lock the caches {} in conflicting orders and can wait for each other for ever",
            names.join(", "),
        );
        Finding::new(graph, rule, Severity::Error, self.caches, self.mounts, message)
    }
}
