//! Not in anybody's way: so many operations a second at most, and the disk only when nobody else wants it.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Lets so many operations a second happen, spread evenly.
#[derive(Debug)]
pub struct Pace {
    each: Option<Duration>,
    next: Instant,
}

impl Pace {
    /// None: as fast as it goes.
    pub fn new(per_second: Option<u32>) -> Self {
        let each = per_second.filter(|&rate| rate > 0).map(|rate| Duration::from_secs(1) / rate);
        Self { each, next: Instant::now() }
    }

    /// Waits until the next operation may happen.
    pub fn wait(&mut self) {
        let Some(each) = self.each else { return };
        if let Some(wait) = self.due(each, Instant::now()) {
            std::thread::sleep(wait);
        }
    }

    /// How long to wait; what was not used up does not pile up.
    fn due(&mut self, each: Duration, now: Instant) -> Option<Duration> {
        let at = self.next.max(now);
        self.next = at + each;
        at.checked_duration_since(now).filter(|wait| !wait.is_zero())
    }
}

/// Has the disk only when nobody else wants it. The kernel's call for that is no safe function of Rust, so ionice(1) does it.
///
/// # Errors
/// Why not, for people.
pub fn idle() -> Result<(), String> {
    let mut command = Command::new("ionice");
    command.args(["-c", "3", "-p", &std::process::id().to_string()]);
    match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("the disk is used at the usual priority: ionice refused".into()),
        Err(error) => Err(format!("the disk is used at the usual priority: ionice: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_spread_and_pauses_do_not_pile_up() {
        let mut pace = Pace::new(Some(100));
        let (each, start) = (Duration::from_millis(10), pace.next);
        assert_eq!(pace.due(each, start), None);
        assert_eq!(pace.due(each, start), Some(each));
        assert_eq!(pace.due(each, start + each), Some(each));
        let later = start + Duration::from_secs(1);
        assert_eq!(pace.due(each, later), None);
        assert_eq!(pace.due(each, later), Some(each));
        assert_eq!(Pace::new(Some(0)).each, None);
    }
}
