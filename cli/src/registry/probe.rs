//! Whether a transfer proves its source: a first byte in time, then a floor of throughput over a window.
//!
//! A pure state machine: it is told what arrived when, and says what that means and when to ask it again.

use std::collections::VecDeque;
use std::time::Duration;

use super::failure::Failure;

/// What is asked of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The first byte of an answer comes within this time.
    pub first_byte: Duration,
    /// The least throughput of the source, all of its transfers together, in bytes a second; 0 asks for none.
    pub floor: u64,
    /// Over this time; and no transfer is without any byte for as long.
    pub window: Duration,
}

impl Limits {
    /// The same, without a floor: for when nothing faster is left.
    #[must_use]
    pub fn without_floor(self) -> Self {
        Self { floor: 0, ..self }
    }
}

/// A window is told apart by this many marks, so it is exact to a sixteenth.
const MARKS: u32 = 16;

/// How much had arrived at a time.
#[derive(Debug, Clone, Copy)]
struct Mark {
    at: Duration,
    source: u64,
}

/// One transfer under its limits. All times count from its request.
#[derive(Debug)]
pub struct Probe {
    limits: Limits,
    /// The oldest of them is at most one step older than the window.
    marks: VecDeque<Mark>,
    last_byte: Option<Duration>,
    source: u64,
}

impl Probe {
    /// A request goes out now.
    pub fn new(limits: Limits) -> Self {
        Self { limits, marks: VecDeque::new(), last_byte: None, source: 0 }
    }

    /// Bytes arrived. `source` counts all that arrived from the source by now, also for other transfers.
    pub fn arrived(&mut self, now: Duration, source: u64) {
        self.last_byte = Some(now);
        self.note(now, source);
    }

    /// What the source sent until now, of which nothing may be ours; and whether its limits are kept.
    ///
    /// # Errors
    /// Which limit is not kept.
    pub fn judge(&mut self, now: Duration, source: u64) -> Result<(), Failure> {
        let Limits { first_byte, floor, window } = self.limits;
        let Some(last_byte) = self.last_byte else {
            return if now < first_byte { Ok(()) } else { Err(Failure::FirstByte { limit: first_byte }) };
        };
        if now.saturating_sub(last_byte) >= window {
            return Err(Failure::Stalled { limit: window });
        }
        self.note(now, source);
        let Some(oldest) = self.marks.front().copied() else { return Ok(()) };
        let passed = now.saturating_sub(oldest.at);
        let bytes = self.source.saturating_sub(oldest.source);
        if passed < window || u128::from(bytes) * 1000 >= u128::from(floor) * passed.as_millis() {
            return Ok(());
        }
        let rate = u128::from(bytes) * 1000 / passed.as_millis().max(1);
        Err(Failure::Slow { rate: u64::try_from(rate).unwrap_or(u64::MAX), floor, window: passed })
    }

    /// When to judge next, if nothing arrives before.
    pub fn look_again(&self, now: Duration) -> Duration {
        let Limits { first_byte, window, .. } = self.limits;
        match self.last_byte {
            None => first_byte,
            Some(last_byte) => (last_byte + window).min(now + window / MARKS),
        }
    }

    fn note(&mut self, now: Duration, source: u64) {
        let Limits { window, .. } = self.limits;
        self.source = source;
        if self.marks.back().is_none_or(|mark| now >= mark.at + window / MARKS) {
            self.marks.push_back(Mark { at: now, source });
        }
        // The one in front is the last that is a whole window old.
        while self.marks.get(1).is_some_and(|second| second.at + window <= now) {
            self.marks.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits =
        Limits { first_byte: Duration::from_secs(5), floor: 1000, window: Duration::from_secs(10) };

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn a_source_that_does_not_begin_is_given_up_at_its_limit() {
        let mut probe = Probe::new(LIMITS);
        assert_eq!(probe.look_again(seconds(0.0)), seconds(5.0));
        probe.judge(seconds(4.9), 0).unwrap();
        insta::assert_snapshot!(probe.judge(seconds(5.0), 0).unwrap_err(), @"no first byte within 5s");
    }

    #[test]
    fn a_transfer_that_stops_is_given_up_even_where_others_go_on() {
        let mut probe = Probe::new(LIMITS);
        probe.arrived(seconds(1.0), 1);
        for second in 2..11 {
            probe.judge(Duration::from_secs(second), 1_000_000 * second).unwrap();
        }
        insta::assert_snapshot!(
            probe.judge(seconds(11.0), 20_000_000).unwrap_err(),
            @"no byte for 10s"
        );
    }

    #[test]
    fn what_other_transfers_get_counts_for_the_source() {
        let mut probe = Probe::new(LIMITS);
        for second in 0..60 {
            probe.arrived(Duration::from_secs(second), 1200 * second);
            probe.judge(Duration::from_secs(second), 1200 * second).unwrap();
        }
    }

    proptest! {
        #[test]
        fn a_drip_is_given_up_within_a_window_and_a_sixteenth(rate in 1_u64..999, step in 0.05_f64..0.6) {
            let mut probe = Probe::new(LIMITS);
            let mut now = 0.0;
            let ended = loop {
                now += step;
                let sent = (now * rate as f64) as u64;
                probe.arrived(seconds(now), sent);
                if probe.judge(seconds(now), sent).is_err() { break now; }
                prop_assert!(now < 60.0);
            };
            prop_assert!((10.0..11.9).contains(&ended), "{ended}");
        }

        #[test]
        fn whoever_keeps_the_floor_is_never_given_up(
            rates in proptest::collection::vec(1100_u64..1_000_000, 1..200)
        ) {
            let mut probe = Probe::new(LIMITS);
            let mut sent = 0;
            for (second, rate) in rates.into_iter().enumerate() {
                sent += rate;
                let now = Duration::from_secs(second as u64);
                probe.arrived(now, sent);
                prop_assert!(probe.judge(now, sent).is_ok());
                prop_assert!(probe.look_again(now) > now);
            }
        }

        #[test]
        fn without_a_floor_any_drip_will_do(gaps in proptest::collection::vec(0.0_f64..9.9, 1..100)) {
            let mut probe = Probe::new(LIMITS.without_floor());
            let mut now = 0.0;
            for (index, gap) in gaps.into_iter().enumerate() {
                now += if index == 0 { gap.min(4.9) } else { gap };
                prop_assert!(probe.judge(seconds(now), index as u64).is_ok());
                probe.arrived(seconds(now), index as u64 + 1);
            }
        }
    }
}
