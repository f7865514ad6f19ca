//! What is tried again, and when: both pure.

use std::time::Duration;

use super::failure::Failure;

/// What to do after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The same may work in a moment.
    Again,
    /// The same may work soon, or not for a long time.
    Briefly,
    /// The source asks to be left alone for this long.
    After(Duration),
    /// It will not work here.
    Never,
}

/// Whether the same request can succeed later.
pub fn verdict(failure: &Failure) -> Verdict {
    match failure {
        Failure::Status { code: 408 | 429 | 500 | 502 | 503 | 504, retry_after, .. } => {
            retry_after.map_or(Verdict::Again, Verdict::After)
        }
        Failure::Unreachable(_) => Verdict::Briefly,
        Failure::Broken(_)
        | Failure::Truncated { .. }
        | Failure::WrongParts
        | Failure::LoginEnded
        | Failure::FirstByte { .. }
        | Failure::Stalled { .. } => Verdict::Again,
        Failure::Status { .. }
        | Failure::Tls(_)
        | Failure::Redirects
        | Failure::WrongDigest { .. }
        | Failure::Malformed(_)
        | Failure::Slow { .. }
        | Failure::Credentials(_)
        | Failure::Disk(_) => Verdict::Never,
    }
}

/// Who cannot be reached is asked again at most so often.
const BRIEFLY: u32 = 3;

/// How a request is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// At most this many times after the first.
    pub times: u32,
    /// The longest pause before the first repetition; it doubles from one to the next,
    pub first: Duration,
    /// up to this.
    pub longest: Duration,
}

impl Retry {
    /// The pause after a failure, the one of this number, from 0; none where it is not to be repeated. `random` is a number
    /// from 0 to 1.
    pub fn after(self, failure: &Failure, number: u32, random: f64) -> Option<Duration> {
        let (times, asked) = match verdict(failure) {
            Verdict::Again => (self.times, None),
            Verdict::After(asked) => (self.times, Some(asked)),
            Verdict::Briefly => (self.times.min(BRIEFLY), None),
            Verdict::Never => (0, None),
        };
        (number < times).then(|| self.pause(number, asked, random))
    }

    /// The pause before the repetition of this number, from 0: full jitter, that is anything from nothing to the
    /// longest, by a random number from 0 to 1; and on top of what the source asks for, so that those who were told
    /// the same do not come back together.
    pub fn pause(self, number: u32, asked: Option<Duration>, random: f64) -> Duration {
        let doubled = self.first.saturating_mul(2_u32.saturating_pow(number));
        asked.unwrap_or_default() + doubled.min(self.longest).mul_f64(random.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RETRY: Retry =
        Retry { times: 10, first: Duration::from_millis(500), longest: Duration::from_secs(30) };

    fn status(code: u16, retry_after: Option<u64>) -> Failure {
        Failure::Status { code, said: String::new(), retry_after: retry_after.map(Duration::from_secs) }
    }

    #[test]
    fn what_will_not_change_is_not_tried_again() {
        for code in [400, 401, 403, 404, 410, 416, 501] {
            assert_eq!(verdict(&status(code, Some(1))), Verdict::Never, "{code}");
        }
        for code in [408, 429, 500, 502, 503, 504] {
            assert_eq!(verdict(&status(code, None)), Verdict::Again, "{code}");
            assert_eq!(verdict(&status(code, Some(3))), Verdict::After(Duration::from_secs(3)), "{code}");
        }
        assert_eq!(verdict(&Failure::Tls(String::new())), Verdict::Never);
        assert_eq!(verdict(&Failure::Redirects), Verdict::Never);
        assert_eq!(verdict(&Failure::Truncated { got: 1, expected: 2 }), Verdict::Again);
    }

    #[test]
    fn who_cannot_be_reached_is_not_asked_for_long() {
        let times = |failure: &Failure| {
            (0..).take_while(|&number| RETRY.after(failure, number, 0.5).is_some()).count()
        };
        assert_eq!(times(&Failure::Unreachable("no".into())), 3);
        assert_eq!(times(&status(503, None)), 10);
        assert_eq!(times(&status(404, None)), 0);
    }

    #[test]
    fn the_longest_pause_doubles_up_to_its_limit() {
        let longest = |number| RETRY.pause(number, None, 1.0).as_millis();
        assert_eq!([0, 1, 2, 5, 6, 60].map(longest), [500, 1000, 2000, 16_000, 30_000, 30_000]);
    }

    proptest! {
        #[test]
        fn a_pause_is_never_shorter_than_asked_nor_longer_than_that_and_the_limit(
            number in any::<u32>(), asked in 0_u64..1000, random in any::<f64>()
        ) {
            let asked = Duration::from_secs(asked);
            let pause = RETRY.pause(number, Some(asked), if random.is_nan() { 0.0 } else { random });
            prop_assert!(pause >= asked);
            prop_assert!(pause <= asked + RETRY.longest);
        }
    }
}
