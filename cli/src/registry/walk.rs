//! Which source is asked next: the first of the chain that may still have it, the others where it fails.
//!
//! A pure state machine over the number of sources, told of each failure. Times count from the walk's beginning.

use std::time::Duration;

use super::failure::Failure;
use super::retry::Retry;

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Ask this source.
    Try {
        /// Its place in the chain.
        source: usize,
        /// Whether it needs no floor any more: it is slow, and nothing faster is left.
        is_patient: bool,
    },
    /// Everybody who is left asks to be left alone until this time.
    Wait(Duration),
    /// Nobody is left.
    Over,
}

/// What is known of one source.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    ready_at: Duration,
    failures: u32,
    is_slow: bool,
    is_out: bool,
}

/// One walk along the chain, for one manifest or blob.
#[derive(Debug)]
pub struct Walk {
    candidates: Vec<Candidate>,
    retry: Retry,
}

impl Walk {
    /// A walk along sources of which it is told which are known to be slow. Those come last.
    pub fn new(is_slow: impl IntoIterator<Item = bool>, retry: Retry) -> Self {
        let candidate = |is_slow| Candidate { ready_at: Duration::ZERO, failures: 0, is_slow, is_out: false };
        Self { candidates: is_slow.into_iter().map(candidate).collect(), retry }
    }

    /// This source is not asked.
    pub fn leave_out(&mut self, source: usize) {
        if let Some(candidate) = self.candidates.get_mut(source) {
            candidate.is_out = true;
        }
    }

    /// What to do now: whoever failed least, is not slow, and comes first in the chain.
    pub fn next(&self, now: Duration) -> Step {
        let left = || self.candidates.iter().enumerate().filter(|(_, candidate)| !candidate.is_out);
        let ready = left().filter(|(_, candidate)| candidate.ready_at <= now);
        match ready.min_by_key(|(place, candidate)| (candidate.is_slow, candidate.failures, *place)) {
            Some((source, candidate)) => Step::Try { source, is_patient: candidate.is_slow },
            None => left().map(|(_, candidate)| candidate.ready_at).min().map_or(Step::Over, Step::Wait),
        }
    }

    /// The source failed. `random` is a number from 0 to 1, for the pause before it is asked again.
    pub fn failed(&mut self, source: usize, failure: &Failure, now: Duration, random: f64) {
        let retry = self.retry;
        let Some(candidate) = self.candidates.get_mut(source) else { return };
        let is_first_slowness = failure.is_slowness() && !candidate.is_slow;
        candidate.is_slow |= is_first_slowness;
        // Who is slow for the first time is asked again when nobody else is left.
        if !is_first_slowness {
            match retry.after(failure, candidate.failures, random) {
                Some(pause) => candidate.ready_at = now + pause,
                None => candidate.is_out = true,
            }
        }
        candidate.failures += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RETRY: Retry = Retry { times: 3, first: Duration::from_secs(1), longest: Duration::from_secs(8) };
    const NOW: Duration = Duration::ZERO;

    fn status(code: u16, retry_after: Option<u64>) -> Failure {
        Failure::Status { code, said: String::new(), retry_after: retry_after.map(Duration::from_secs) }
    }
    fn slow() -> Failure {
        Failure::Slow { rate: 1, floor: 2, window: Duration::from_secs(1) }
    }
    fn quick(source: usize) -> Step {
        Step::Try { source, is_patient: false }
    }

    #[test]
    fn the_next_source_takes_over_at_once() {
        let mut walk = Walk::new([false; 3], RETRY);
        assert_eq!(walk.next(NOW), quick(0));
        walk.failed(0, &status(503, None), NOW, 1.0);
        assert_eq!(walk.next(NOW), quick(1));
        walk.failed(1, &status(404, None), NOW, 1.0);
        assert_eq!(walk.next(NOW), quick(2));
    }

    #[test]
    fn whoever_asks_to_wait_is_left_alone_and_asked_again() {
        let mut walk = Walk::new([false], RETRY);
        walk.failed(0, &status(429, Some(7)), NOW, 0.0);
        assert_eq!(walk.next(NOW), Step::Wait(Duration::from_secs(7)));
        assert_eq!(walk.next(Duration::from_secs(7)), quick(0));
    }

    #[test]
    fn a_slow_source_is_asked_once_more_without_a_floor_when_the_others_fail() {
        let mut walk = Walk::new([false; 2], RETRY);
        walk.failed(0, &slow(), NOW, 1.0);
        assert_eq!(walk.next(NOW), quick(1));
        walk.failed(1, &status(404, None), NOW, 1.0);
        assert_eq!(walk.next(NOW), Step::Try { source: 0, is_patient: true });
        walk.failed(0, &slow(), NOW, 1.0);
        assert_eq!(walk.next(NOW), Step::Over);
    }

    #[test]
    fn a_source_that_is_known_to_be_slow_comes_last() {
        let walk = Walk::new([true, false], RETRY);
        assert_eq!(walk.next(NOW), quick(1));
    }

    fn failures() -> impl Strategy<Value = Failure> {
        prop_oneof![
            (400_u16..505, proptest::option::of(0_u64..100)).prop_map(|(code, after)| status(code, after)),
            Just(slow()),
            Just(Failure::FirstByte { limit: NOW }),
            Just(Failure::Stalled { limit: NOW }),
            Just(Failure::WrongParts),
            Just(Failure::Redirects),
        ]
    }

    proptest! {
        #[test]
        fn every_walk_asks_everybody_and_ends(
            sources in 1_usize..5,
            failures in proptest::collection::vec(failures(), 40),
        ) {
            let mut walk = Walk::new(vec![false; sources], RETRY);
            let (mut now, mut asked, mut tries) = (NOW, vec![None; sources], 0);
            loop {
                match walk.next(now) {
                    Step::Over => break,
                    Step::Wait(until) => {
                        prop_assert!(until > now);
                        now = until;
                    }
                    Step::Try { source, .. } => {
                        if let Some(not_before) = asked[source] {
                            prop_assert!(now >= not_before, "it asked to be left alone");
                        }
                        let failure = failures[tries % failures.len()].clone();
                        let after = match &failure {
                            Failure::Status { code: 429 | 503, retry_after: Some(after), .. } => *after,
                            _ => Duration::ZERO,
                        };
                        asked[source] = Some(now + after);
                        walk.failed(source, &failure, now, 0.5);
                        tries += 1;
                        prop_assert!(tries <= sources * (RETRY.times as usize + 2));
                    }
                }
            }
            prop_assert!(asked.iter().all(Option::is_some), "everybody was asked");
        }
    }
}
