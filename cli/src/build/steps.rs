//! The steps of a build, as the engine tells of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ci_build_frontend::dockerfile::mount::caches_of;
use ci_build_frontend::graph::{CacheUse, Sharing};
use ci_build_frontend::llb::step_called;
use ci_build_frontend::report::released;

use crate::buildkit::{StatusResponse, Timestamp, Vertex};

/// A point in time, since 1970, by the engine's clock.
pub(super) type Time = Duration;

/// A step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    /// What people know it as: `[a 2/3] RUN make`.
    pub name: String,
    /// When it began, the last time.
    pub started: Option<Time>,
    /// When it ended.
    pub completed: Option<Time>,
    /// Whether its result was there.
    pub is_cached: bool,
    /// Whether it failed, or was ended.
    pub has_failed: bool,
    /// Whether its process said something since it began: so it has all that it waits for.
    pub has_said: bool,
    caches: Vec<CacheUse>,
}

impl Step {
    /// Since when it runs, if it does.
    pub fn running(&self) -> Option<Time> {
        self.started.filter(|started| self.completed.is_none_or(|completed| completed < *started))
    }

    /// From when to when it ran, if it did.
    pub fn ran(&self) -> Option<(Time, Time)> {
        Some((self.started?, self.completed?))
            .filter(|(started, completed)| started <= completed && !self.is_cached)
    }
}

/// What names a cache among those of an engine, as people know it: its id, and what it starts from.
pub(super) type Lock = (String, Option<String>);

/// The steps of one build.
#[derive(Debug, Clone, Default)]
pub struct Steps {
    steps: BTreeMap<String, Step>,
    /// The caches that ci-build has locked, by the names that people know them by.
    locked: BTreeSet<String>,
}

impl Steps {
    /// Takes what the engine tells.
    pub fn apply(&mut self, told: StatusResponse) {
        for vertex in told.vertexes {
            self.locked.extend(released(&vertex.name).map(str::to_owned));
            let Vertex { digest, name, cached, started, completed, error } = vertex;
            let step = self.steps.entry(digest).or_default();
            if step.name != name {
                step.caches = caches_of(&step_called(&name).title);
                step.name = name;
            }
            let started = started.map(time);
            if started > step.started {
                // A step may begin more than once.
                step.started = started;
                step.has_said = false;
            }
            step.completed = completed.map(time).or(step.completed);
            step.is_cached |= cached;
            step.has_failed |= !error.is_empty();
        }
        for log in told.logs {
            if let Some(step) = self.steps.get_mut(&log.vertex) {
                step.has_said |= log.timestamp.map(time) >= step.started;
            }
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Step> {
        self.steps.values()
    }

    /// The caches that a step has to itself while it runs.
    pub fn locks(&self, step: &Step) -> BTreeSet<Lock> {
        let is_locked = |cache: &&CacheUse| {
            cache.sharing == Sharing::Locked || self.locked.contains(&cache.key.to_string())
        };
        let lock = |cache: &CacheUse| (cache.key.to_string(), cache.key.identity.clone());
        step.caches.iter().filter(is_locked).map(lock).collect()
    }
}

fn time(timestamp: Timestamp) -> Time {
    let nanos = u32::try_from(timestamp.nanos).unwrap_or(0).min(999_999_999);
    Duration::new(u64::try_from(timestamp.seconds).unwrap_or(0), nanos)
}

/// How long steps took, without the time in which they waited for a cache that another step of the same build had: a step
/// that ended while this one ran, and had one of its caches, was waited for.
pub fn durations(steps: &Steps) -> impl Iterator<Item = (&Step, Duration)> {
    steps.iter().filter(|step| !step.has_failed).filter_map(|step| {
        let (started, completed) = step.ran()?;
        let locks = steps.locks(step);
        let waited_for = steps.iter().filter(|other| !std::ptr::eq(*other, step)).filter_map(|other| {
            let (_, end) = other.ran()?;
            let is_between = started < end && end < completed;
            (is_between && !steps.locks(other).is_disjoint(&locks)).then_some(end)
        });
        Some((step, completed - waited_for.fold(started, Time::max)))
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::buildkit::VertexLog;

    pub(crate) fn at(seconds: f64) -> Timestamp {
        let time = Duration::from_secs_f64(1000.0 + seconds);
        Timestamp { seconds: time.as_secs() as i64, nanos: time.subsec_nanos() as i32 }
    }

    /// A build: each step's name, when it began and ended, and when it said something.
    pub(crate) fn build(told: &[(&str, f64, Option<f64>, Option<f64>)]) -> Steps {
        let mut steps = Steps::default();
        for (name, started, completed, said) in told {
            let vertex = Vertex {
                digest: (*name).to_owned(),
                name: (*name).to_owned(),
                started: Some(at(*started)),
                completed: completed.map(at),
                ..Vertex::default()
            };
            let log = said.map(|said| VertexLog { vertex: (*name).to_owned(), timestamp: Some(at(said)) });
            steps.apply(StatusResponse { vertexes: vec![vertex], logs: log.into_iter().collect() });
        }
        steps
    }

    const LOCK: &str = "[ci-build] Dockerfile:2 (stage a): each may wait for another to release /c";
    const A: &str = "[a 2/2] RUN --mount=type=cache,target=/c make a";
    const B: &str = "[b 2/2] RUN --mount=type=cache,target=/c make b";
    const C: &str = "[c 2/2] RUN --mount=type=cache,target=/c,sharing=locked make c";

    #[test]
    fn locks_are_those_in_the_text_and_those_that_we_made() {
        let locks = |told: &[&str]| {
            let told: Vec<_> = told.iter().map(|name| (*name, 0.0, None, None)).collect();
            let steps = build(&told);
            steps.iter().map(|step| steps.locks(step).len()).collect::<Vec<_>>()
        };
        assert_eq!(locks(&[A, C]), [0, 1]);
        assert_eq!(locks(&[LOCK, A, B]), [1, 1, 0], "in the order of their names");
        assert_eq!(locks(&[A, LOCK, B]), [1, 1, 0], "whatever comes first");
    }

    #[test]
    fn a_wait_is_no_work() {
        let of = |told: &[(&str, f64, Option<f64>, Option<f64>)]| {
            let steps = build(told);
            durations(&steps).map(|(step, time)| (step.name.clone(), time.as_secs_f64())).collect::<Vec<_>>()
        };
        let run = |name, started, completed| (name, started, Some(completed), None);
        let all = of(&[(LOCK, 0.0, None, None), run(A, 0.0, 60.0), run(B, 0.0, 70.0), run(C, 1.0, 75.0)]);
        assert_eq!(all, [(A.into(), 60.0), (B.into(), 10.0), (C.into(), 5.0)]);
        // Without a lock nobody waits.
        assert_eq!(of(&[run(A, 0.0, 60.0), run(B, 0.0, 70.0)]), [(A.into(), 60.0), (B.into(), 70.0)]);
    }

    #[test]
    fn what_was_cached_or_failed_has_no_duration() {
        let mut steps = build(&[(A, 0.0, Some(1.0), None), (B, 0.0, Some(2.0), None), (C, 0.0, None, None)]);
        let again = |name: &str, cached, error: &str| Vertex {
            digest: name.into(),
            name: name.into(),
            cached,
            error: error.into(),
            ..Vertex::default()
        };
        let vertexes = vec![again(A, true, ""), again(B, false, "exit code: 1")];
        steps.apply(StatusResponse { vertexes, logs: Vec::new() });
        assert_eq!(durations(&steps).count(), 0);
    }

    #[test]
    fn a_step_that_begins_again_runs_again() {
        let mut steps = build(&[(A, 0.0, Some(1.0), Some(0.5))]);
        assert!(steps.iter().all(|step| step.running().is_none() && step.has_said));
        let vertex = Vertex { digest: A.into(), name: A.into(), started: Some(at(5.0)), ..Vertex::default() };
        steps.apply(StatusResponse { vertexes: vec![vertex], logs: Vec::new() });
        assert!(steps.iter().all(|step| step.running().is_some() && !step.has_said));
    }
}
