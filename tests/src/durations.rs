//! How long tests took: where the time of a run goes.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The durations of a run, by what took them.
#[derive(Debug, Default)]
pub struct Durations(Mutex<Vec<(String, Duration)>>);

impl Durations {
    /// Does something and takes down how long it took.
    pub fn of<T>(&self, name: &str, work: impl FnOnce() -> T) -> T {
        let begin = Instant::now();
        let done = work();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((name.to_owned(), begin.elapsed()));
        done
    }

    /// The slowest ones, a line each, under the sum of all.
    #[must_use]
    pub fn slowest(&self, most: usize) -> String {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let sum: Duration = all.iter().map(|(_, took)| *took).sum();
        let mut text = format!(
            "{} took {:.0} s one after the other; the slowest of them:\n",
            all.len(),
            sum.as_secs_f64()
        );
        for (name, took) in all.iter().take(most) {
            // A string takes all.
            let _ = writeln!(text, "{:7.1} s  {name}", took.as_secs_f64());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_come_first() {
        let durations = Durations::default();
        assert_eq!(durations.of("a", || 7), 7);
        let planted = [("b", 1200), ("c", 400), ("d", 70_000)];
        let planted = planted.map(|(name, ms)| (name.to_owned(), Duration::from_millis(ms)));
        *durations.0.lock().unwrap() = planted.into();
        insta::assert_snapshot!(durations.slowest(2), @r"
        3 took 72 s one after the other; the slowest of them:
           70.0 s  d
            1.2 s  b
        ");
    }
}
