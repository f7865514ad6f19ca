//! A command that SIGKILL ends: by its own hand at a place in it, or by ours at any moment.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus};

use anyhow::{Result, ensure};
use ci_build::failpoint;

use super::moments;

/// The variable that names the place.
pub(super) const AT: &str = "CI_BUILD_TEST_KILL_AT";

/// Lets a command kill itself at this place; whether it came there.
///
/// # Errors
/// When it cannot be run, or there is no such place.
pub(super) fn at(place: &str, command: &mut Command) -> Result<bool> {
    Ok(is_killed(command.env(AT, known(place)?).status()?))
}

/// Kills what this makes at the moment of this trial; whether it ran by then.
///
/// # Errors
/// When it cannot be run.
pub(super) fn anytime(run: impl Fn() -> Command, trial: u32) -> Result<bool> {
    let whole = moments::whole(&mut run())?;
    let mut child = run().spawn()?;
    std::thread::sleep(moments::moment(whole, trial));
    let ended = child.try_wait()?.is_some();
    let _ = child.kill();
    child.wait()?;
    Ok(!ended)
}

/// A place that is in the list, so that nobody waits for one that is not.
///
/// # Errors
/// When it is none.
pub(super) fn known(place: &str) -> Result<&str> {
    ensure!(failpoint::ALL.contains(&place), "no such place: {place}");
    Ok(place)
}

/// Whether SIGKILL ended it.
pub(super) fn is_killed(status: ExitStatus) -> bool {
    status.signal() == Some(9)
}
