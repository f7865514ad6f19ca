//! Any moment of a run: spread over the whole of it, however long it takes on this machine, and not random.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// So many trials come to each moment once.
pub(super) const MOMENTS: u32 = 20;

/// How long a run takes that nobody disturbs.
///
/// # Errors
/// When it cannot be run.
pub(super) fn whole(run: &mut Command) -> Result<Duration> {
    let begin = Instant::now();
    run.status().context("cannot run ci-build")?;
    Ok(begin.elapsed())
}

/// A time limit, as `--timeout` takes it, that a container lives to see: many times as long as a whole run takes.
pub(super) fn limit(whole: Duration) -> String {
    format!("{}ms", (4 * whole).max(Duration::from_millis(1500)).as_millis())
}

/// The moment of this trial. A few trials are spread over all of the run too.
pub(super) fn moment(whole: Duration, trial: u32) -> Duration {
    // Has no divisor in common with their number, so each comes once.
    const STEP: u32 = 13;
    whole * (trial % MOMENTS * STEP % MOMENTS) / MOMENTS
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_moment_comes_once_and_a_few_are_far_apart() {
        let whole = Duration::from_secs(20);
        let all: BTreeSet<u64> = (0..MOMENTS).map(|trial| moment(whole, trial).as_secs()).collect();
        assert_eq!(all, (0..20).collect());
        assert_eq!([0, 1, 2].map(|trial| moment(whole, trial).as_secs()), [0, 13, 6]);
        assert_eq!(moment(whole, u32::MAX), moment(whole, u32::MAX % MOMENTS));
    }
}
