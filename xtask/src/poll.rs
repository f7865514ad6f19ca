//! Waiting: for the end of a process, which is an event, and for what announces itself by none.

use std::{
    os::fd::OwnedFd,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

/// Asks `question` again and again until it has an answer, or until `patience` is over: then `None`.
///
/// # Errors
/// The first error of `question` ends the wait.
pub fn until<T>(patience: Duration, mut question: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
    const PAUSE: Duration = Duration::from_millis(20);
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = question()? {
            return Ok(Some(answer));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        thread::sleep(PAUSE);
    }
}

/// Whether the process ends within `patience`.
///
/// # Errors
/// When it cannot be waited for.
pub(crate) fn is_over(handle: &OwnedFd, patience: Duration) -> Result<bool> {
    let deadline = Instant::now() + patience;
    loop {
        let rest = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(rest).context("a deadline beyond what poll(2) takes")?;
        match poll(&mut [PollFd::new(handle, PollFlags::IN)], Some(&timeout)) {
            Err(Errno::INTR) => {}
            polled => return Ok(polled.context("cannot wait for a process")? > 0),
        }
    }
}
