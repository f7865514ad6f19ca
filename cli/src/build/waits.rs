//! Who waits for a locked cache, and who has it.
//!
//! The engine tells neither. What it tells is which steps run, since when, and whether they have said anything; a step
//! gets all its locks before its process starts. So a step that has said something has its locks, and so has one that came
//! when nobody else had its only lock. Where neither is so, nothing is said: rather no word than a wrong one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::steps::{Lock, Step, Steps, Time};

/// A wait that is shorter is not worth a word.
const NOTICEABLE: Duration = Duration::from_secs(5);

/// The engine looks every 100 ms whether a lock is free (`solver/llbsolver/mounts/mount.go`): who comes as close together
/// may get it in any order.
const CLOSE: Duration = Duration::from_millis(300);

/// A step of our build that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// The step.
    pub step: String,
    /// The cache, as people know it.
    pub cache: String,
    /// For how long.
    pub waited: Duration,
    /// The step that has it.
    pub holder: String,
    /// Which of the builds that step is in: 0 is ours.
    pub build: usize,
}

/// A step with one of its locks.
struct User<'s> {
    build: usize,
    step: &'s Step,
    has_one_lock: bool,
}

/// Whether a step of our build may wait for another build's: then it is worth to know those.
pub(super) fn is_in_doubt(ours: &Steps, now: Time) -> bool {
    ours.iter().any(|step| has_waited(step, now).is_some() && !ours.locks(step).is_empty())
}

/// Who waits in our build, the first of `builds`, at this time. A step that waits for several caches is told of one.
pub(super) fn waits(builds: &[&Steps], now: Time) -> Vec<Wait> {
    let mut users = BTreeMap::<Lock, Vec<User>>::new();
    for (build, steps) in builds.iter().enumerate() {
        for step in steps.iter().filter(|step| step.started.is_some() && !step.is_cached) {
            let locks = steps.locks(step);
            let has_one_lock = locks.len() == 1;
            for lock in locks {
                users.entry(lock).or_default().push(User { build, step, has_one_lock });
            }
        }
    }
    let mut told = BTreeSet::new();
    let mut waits = Vec::new();
    for ((cache, _), users) in &users {
        let Some(holder) = holder(users) else { continue };
        let waiting = users.iter().filter(|user| user.build == 0 && !std::ptr::eq(user.step, holder.step));
        for user in waiting {
            let Some(waited) = has_waited(user.step, now) else { continue };
            if told.insert(&user.step.name) {
                waits.push(Wait {
                    step: user.step.name.clone(),
                    cache: cache.clone(),
                    waited,
                    holder: holder.step.name.clone(),
                    build: holder.build,
                });
            }
        }
    }
    waits
}

/// For how long a step may have waited, if that is worth a word.
fn has_waited(step: &Step, now: Time) -> Option<Duration> {
    let waited = now.checked_sub(step.running()?)?;
    (!step.has_said && waited >= NOTICEABLE).then_some(waited)
}

/// The step that has the lock, where that is certain.
fn holder<'u, 's>(users: &'u [User<'s>]) -> Option<&'u User<'s>> {
    let running = || users.iter().filter(|user| user.step.running().is_some());
    let mut said = running().filter(|user| user.step.has_said);
    match (said.next(), said.next()) {
        (Some(holder), None) => return Some(holder),
        // Two that have it: it is no lock, or the steps are not what their names say.
        (Some(_), Some(_)) => return None,
        (None, _) => {}
    }
    let first = running().min_by_key(|user| user.step.started)?;
    let came = first.step.running()?;
    let was_free = users.iter().filter(|user| !std::ptr::eq(user.step, first.step)).all(|user| {
        let others = user.step.started.is_some_and(|started| started > came + CLOSE);
        let is_over = user.step.completed.is_some_and(|completed| completed < came);
        others || (is_over && user.step.running().is_none())
    });
    (was_free && first.has_one_lock).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::super::steps::tests::build;
    use super::*;

    const A: &str = "[a 2/2] RUN --mount=type=cache,target=/c,sharing=locked make a";
    const B: &str = "[b 2/2] RUN --mount=type=cache,target=/c,sharing=locked make b";
    const TWO: &str = "[d 2/2] RUN --mount=type=cache,target=/c,sharing=locked --mount=type=cache,target=/d,sharing=locked x";
    const OTHER: &str = "[e 2/2] RUN --mount=type=cache,target=/d,sharing=locked x";
    const FREE: &str = "[f 2/2] RUN --mount=type=cache,target=/c make f";

    type Told<'n> = (&'n str, f64, Option<f64>, Option<f64>);

    fn waiting(builds: &[&[Told]], now: f64) -> Vec<String> {
        let builds: Vec<_> = builds.iter().map(|told| build(told)).collect();
        let builds: Vec<_> = builds.iter().collect();
        let shown = |wait: Wait| {
            let short = |name: &str| name[1..2].to_owned();
            let waited = wait.waited.as_secs();
            format!(
                "{} {waited}s {} of {} in {}",
                short(&wait.step),
                wait.cache,
                short(&wait.holder),
                wait.build
            )
        };
        waits(&builds, Duration::from_secs_f64(1000.0 + now)).into_iter().map(shown).collect()
    }

    #[test]
    fn who_has_said_something_has_the_lock() {
        let running = [(A, 0.0, None, None), (B, 0.1, None, Some(1.0))];
        assert_eq!(waiting(&[&running], 6.0), ["a 6s /c of b in 0"]);
        assert_eq!(waiting(&[&running], 4.0), [""; 0], "a moment is not worth a word");
        let both = [(A, 0.0, None, Some(1.0)), (B, 0.1, None, Some(1.0)), (TWO, 0.0, None, None)];
        assert_eq!(waiting(&[&both], 60.0), [""; 0], "it is no lock");
    }

    #[test]
    fn who_came_when_nobody_had_it_has_it() {
        assert_eq!(waiting(&[&[(A, 0.0, None, None), (B, 1.0, None, None)]], 9.0), ["b 8s /c of a in 0"]);
        let close = [(A, 0.0, None, None), (B, 0.1, None, None)];
        assert_eq!(waiting(&[&close], 9.0), [""; 0], "either may have it");
        let after = [(OTHER, 0.0, Some(1.0), None), (A, 2.0, None, None), (B, 3.0, None, None)];
        assert_eq!(waiting(&[&after], 9.0), ["b 6s /c of a in 0"]);
        let handed_over = [
            (FREE, 0.0, None, None),
            (TWO, 0.0, Some(3.0), None),
            (A, 1.0, None, None),
            (B, 2.0, None, None),
        ];
        assert_eq!(waiting(&[&handed_over], 9.0), [""; 0], "either may have got it");
    }

    #[test]
    fn who_waits_for_another_lock_has_perhaps_none() {
        let two = [(TWO, 0.0, None, None), (A, 1.0, None, None)];
        assert_eq!(waiting(&[&two], 9.0), [""; 0]);
        let chain = [(OTHER, 0.0, None, Some(0.1)), (TWO, 1.0, None, None), (A, 2.0, None, None)];
        assert_eq!(waiting(&[&chain], 9.0), ["d 8s /d of e in 0"]);
    }

    #[test]
    fn another_build_may_have_it() {
        let (ours, theirs) = ([(A, 1.0, None, None)], [(B, 0.0, None, Some(0.5))]);
        assert_eq!(waiting(&[&ours, &theirs], 9.0), ["a 8s /c of b in 1"]);
        assert_eq!(waiting(&[&theirs, &ours], 9.0), [""; 0], "it is theirs to tell");
        assert_eq!(waiting(&[&ours], 9.0), [""; 0], "nobody else wants it");
    }

    #[test]
    fn what_is_not_locked_or_not_running_keeps_nobody_waiting() {
        assert_eq!(waiting(&[&[(FREE, 0.0, None, Some(1.0)), (A, 0.5, None, None)]], 9.0), [""; 0]);
        assert_eq!(waiting(&[&[(A, 0.0, Some(1.0), Some(0.5)), (B, 0.0, None, None)]], 9.0), [""; 0]);
    }

    #[test]
    fn doubt_is_where_a_step_with_a_lock_is_silent() {
        let doubt = |told: &[Told]| is_in_doubt(&build(told), Duration::from_secs(1009));
        assert!(doubt(&[(A, 0.0, None, None)]));
        assert!(!doubt(&[(A, 0.0, None, Some(1.0)), (FREE, 0.0, None, None), (B, 8.0, None, None)]));
    }
}
