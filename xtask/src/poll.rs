//! Waiting for what announces itself by no event.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;

/// Asks `question` again and again until it has an answer, or until `patience` is over: then `None`.
///
/// # Errors
/// The first error of `question` ends the wait.
pub(crate) fn until<T>(
    patience: Duration,
    mut question: impl FnMut() -> Result<Option<T>>,
) -> Result<Option<T>> {
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
