//! Who is concurrent with whom.
//!
//! Two steps are concurrent when neither reaches the other. A few users of a cache are compared pair by pair. Looking at
//! all pairs of many would cost their square, so these are judged together, in time linear in the part of the graph between the first and
//! the last of them: in a topological order, a user is ordered with *every* other one exactly when each user before
//! it reaches some user no later than it, and each user after it is reached by some user no earlier than it.

use std::collections::HashSet;

use super::{BuildGraph, StepIndex};

/// Up to this many users are compared pair by pair, which looks at no step between them where there is no path.
const PAIRWISE: usize = 32;

/// A step as a user of one cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    /// The step.
    pub step: StepIndex,
    /// Whether it may write to the cache.
    pub writes: bool,
}

impl BuildGraph {
    /// Whether neither of two different steps reaches the other. Linear in the steps between the two.
    #[must_use]
    pub fn are_concurrent(&self, a: StepIndex, b: StepIndex) -> bool {
        let (first, last) = if self.rank(a) <= self.rank(b) { (a, b) } else { (b, a) };
        first != last && !self.reaches(first, last)
    }

    fn reaches(&self, from: StepIndex, to: StepIndex) -> bool {
        if !self.reach.may(from, to) {
            return false;
        }
        let mut seen = HashSet::new();
        let mut stack = vec![to];
        while let Some(step) = stack.pop() {
            for needed in self.dependencies(step) {
                if needed == from {
                    return true;
                }
                if self.reach.may(from, needed) && seen.insert(needed) {
                    stack.push(needed);
                }
            }
        }
        false
    }

    /// Those `users` that are concurrent with another one, where at least one of the two writes. One step of the
    /// source on two platforms does not count as two users that race. In the order of the build.
    #[must_use]
    pub fn racing_users(&self, users: &[User]) -> Vec<StepIndex> {
        let users = self.merge_by_step(users);
        if users.len() <= PAIRWISE { self.pairwise(&users) } else { self.in_window(&users) }
    }

    /// Those `users` that are concurrent with another one, whatever they are of the source.
    #[must_use]
    pub fn concurrent_users(&self, users: &[User]) -> Vec<StepIndex> {
        let users = self.merge_by_step(users);
        let (Some(first), Some(last)) = (users.first(), users.last()) else { return Vec::new() };
        let window = Window { graph: self, start: self.rank(first.step), end: self.rank(last.step) };
        window.unordered(&users).into_iter().map(|at| users[at].step).collect()
    }

    fn pairwise(&self, users: &[User]) -> Vec<StepIndex> {
        let mut racing = vec![false; users.len()];
        for (a, user) in users.iter().enumerate() {
            for (b, other) in users.iter().enumerate().skip(a + 1) {
                let known = racing[a] && racing[b];
                if !known
                    && (user.writes || other.writes)
                    && self.are_concurrent(user.step, other.step)
                    && !self.step(user.step).is_twin(self.step(other.step))
                {
                    (racing[a], racing[b]) = (true, true);
                }
            }
        }
        users.iter().zip(racing).filter_map(|(user, racing)| racing.then_some(user.step)).collect()
    }

    fn in_window(&self, users: &[User]) -> Vec<StepIndex> {
        let (Some(first), Some(last)) = (users.first(), users.last()) else { return Vec::new() };
        let window = Window { graph: self, start: self.rank(first.step), end: self.rank(last.step) };
        let suspects = window.unordered(users);
        if users.iter().all(|user| user.writes) && !self.has_twins(users) {
            suspects.into_iter().map(|at| users[at].step).collect()
        } else {
            window.confirm(users, &suspects)
        }
    }

    /// One entry a step, in the order of the build.
    fn merge_by_step(&self, users: &[User]) -> Vec<User> {
        let mut users = users.to_vec();
        users.sort_by_key(|user| self.rank(user.step));
        users.dedup_by(|later, kept| {
            let same = later.step == kept.step;
            kept.writes |= same && later.writes;
            same
        });
        users
    }

    fn has_twins(&self, users: &[User]) -> bool {
        let mut places = HashSet::new();
        self.is_multi_platform()
            && users.iter().any(|user| {
                let step = self.step(user.step);
                !places.insert((&step.location, &step.stage))
            })
    }
}

/// The steps from the first to the last user of a cache, in topological order.
struct Window<'g> {
    graph: &'g BuildGraph,
    start: usize,
    end: usize,
}

impl Window<'_> {
    fn place(&self, step: StepIndex) -> Option<usize> {
        let rank = self.graph.rank(step);
        (self.start..=self.end).contains(&rank).then(|| rank - self.start)
    }

    fn len(&self) -> usize {
        self.end - self.start + 1
    }

    fn steps(&self) -> impl DoubleEndedIterator<Item = (usize, StepIndex)> {
        self.graph.order[self.start..=self.end].iter().copied().enumerate()
    }

    /// The places in `users` of those that are not ordered with every other one.
    fn unordered(&self, users: &[User]) -> Vec<usize> {
        let mut is_user = vec![false; self.len()];
        let places: Vec<_> = users.iter().filter_map(|user| self.place(user.step)).collect();
        for place in &places {
            is_user[*place] = true;
        }

        // The nearest user below each step, and the nearest above.
        let mut below = vec![usize::MAX; self.len()];
        for (place, step) in self.steps().rev() {
            for next in self.graph.dependents(step).filter_map(|next| self.place(next)) {
                below[place] = below[place].min(if is_user[next] { next } else { below[next] });
            }
        }
        let mut above = vec![None; self.len()];
        for (place, step) in self.steps() {
            for next in self.graph.dependencies(step).filter_map(|next| self.place(next)) {
                above[place] = above[place].max(if is_user[next] { Some(next) } else { above[next] });
            }
        }

        let mut all_before_reach = vec![true; places.len()];
        let mut furthest = 0;
        for (at, place) in places.iter().enumerate() {
            all_before_reach[at] = furthest <= *place;
            furthest = furthest.max(below[*place]);
        }
        let mut unordered = Vec::new();
        let mut nearest = Some(usize::MAX);
        for (at, place) in places.iter().enumerate().rev() {
            if !all_before_reach[at] || nearest < Some(*place) {
                unordered.push(at);
            }
            nearest = nearest.min(above[*place]);
        }
        unordered.reverse();
        unordered
    }

    /// Checks suspects pair by pair, 64 of them in one sweep over the window: needed where some users only read or
    /// are one step on several platforms.
    fn confirm(&self, users: &[User], suspects: &[usize]) -> Vec<StepIndex> {
        let mut racing = vec![false; users.len()];
        for block in suspects.chunks(64) {
            let related = self.related(users, block);
            for (other, other_user) in users.iter().enumerate() {
                let Some(place) = self.place(other_user.step) else { continue };
                for (bit, suspect) in block.iter().enumerate() {
                    let user = &users[*suspect];
                    if related[place] & (1 << bit) == 0
                        && (user.writes || other_user.writes)
                        && !self.graph.step(user.step).is_twin(self.graph.step(other_user.step))
                    {
                        racing[*suspect] = true;
                        racing[other] = true;
                    }
                }
            }
        }
        users.iter().zip(racing).filter_map(|(user, racing)| racing.then_some(user.step)).collect()
    }

    /// For each step, which of at most 64 users reach it, are reached by it, or are it: a bit a user.
    fn related(&self, users: &[User], block: &[usize]) -> Vec<u64> {
        let mut own = vec![0_u64; self.len()];
        for (bit, suspect) in block.iter().enumerate() {
            if let Some(place) = self.place(users[*suspect].step) {
                own[place] |= 1 << bit;
            }
        }
        let mut down = own.clone();
        for (place, step) in self.steps() {
            for previous in self.graph.dependencies(step).filter_map(|previous| self.place(previous)) {
                down[place] |= down[previous];
            }
        }
        let mut up = own;
        for (place, step) in self.steps().rev() {
            for next in self.graph.dependents(step).filter_map(|next| self.place(next)) {
                up[place] |= up[next];
            }
        }
        down.iter().zip(up).map(|(down, up)| down | up).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{GraphBuilder, Location, Step};
    use super::*;

    fn reaches_naively(graph: &BuildGraph, from: StepIndex, to: StepIndex) -> bool {
        from == to || graph.dependents(from).any(|next| reaches_naively(graph, next, to))
    }

    /// A graph of up to 14 steps: edges only from lower to higher, two platforms, locations that repeat.
    fn graphs() -> impl Strategy<Value = (BuildGraph, Vec<User>)> {
        let edges = proptest::collection::vec((0_usize..14, 0_usize..14), 0..24);
        let users = proptest::collection::vec((0_usize..14, any::<bool>()), 0..14);
        let lines = proptest::collection::vec((0_u32..5, 0_usize..2), 14);
        (edges, users, lines, any::<bool>()).prop_map(|(edges, users, lines, plain)| {
            let mut builder = GraphBuilder::default();
            let steps: Vec<_> = lines
                .iter()
                .enumerate()
                .map(|(id, (line, platform))| {
                    builder.add(Step {
                        id: id.to_string(),
                        platform: (!plain).then(|| ["linux/amd64", "linux/arm64"][*platform].to_owned()),
                        location: (!plain).then(|| Location { file: "Dockerfile".to_owned(), line: *line }),
                        ..Step::default()
                    })
                })
                .collect();
            for (a, b) in edges {
                if a < b {
                    builder.depend(steps[a], steps[b]);
                }
            }
            let users = users
                .into_iter()
                .map(|(at, writes)| User { step: steps[at], writes: writes || plain })
                .collect();
            (builder.finish().expect("edges go upwards"), users)
        })
    }

    proptest! {
        #[test]
        fn agrees_with_looking_at_all_pairs((graph, users) in graphs()) {
            let mut expected: Vec<_> = users
                .iter()
                .filter(|user| {
                    users.iter().any(|other| {
                        (user.writes || other.writes)
                            && user.step != other.step
                            && !reaches_naively(&graph, user.step, other.step)
                            && !reaches_naively(&graph, other.step, user.step)
                            && !graph.step(user.step).is_twin(graph.step(other.step))
                    })
                })
                .map(|user| user.step)
                .collect();
            expected.sort_by_key(|step| graph.rank(*step));
            expected.dedup();
            // A step that mounts the cache twice writes if either mount does.
            let merged: Vec<User> = users
                .iter()
                .map(|user| User {
                    step: user.step,
                    writes: users.iter().any(|other| other.step == user.step && other.writes),
                })
                .collect();
            let merged = graph.merge_by_step(&merged);
            prop_assert_eq!(graph.pairwise(&merged), expected.clone());
            prop_assert_eq!(graph.in_window(&merged), expected);
        }

        #[test]
        fn pairs_agree_too((graph, users) in graphs()) {
            for a in &users {
                for b in &users {
                    let expected = !reaches_naively(&graph, a.step, b.step)
                        && !reaches_naively(&graph, b.step, a.step);
                    prop_assert_eq!(graph.are_concurrent(a.step, b.step), expected);
                }
            }
        }
    }
}
