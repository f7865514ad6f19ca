//! A `ci-build run` that is up, on whatever engine.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

/// Says that it runs, and then does nothing until it is killed.
pub(crate) const STAYS: &str = "trap '' TERM; echo up; while :; do sleep 1; done";

/// Says that it runs, and ends when it is asked to.
pub(crate) const OBEYS: &str = "trap 'exit 5' TERM INT HUP; echo up; while :; do sleep 1; done";

pub(crate) fn ended(command: &mut Command) -> Result<Output> {
    command.stdin(Stdio::null()).output().context("cannot run ci-build")
}

/// A run that is up.
pub(crate) fn up(mut command: Command) -> Result<Child> {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot run ci-build")?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
    ensure!(line == "up\n", "it says {line:?}");
    Ok(child)
}

pub(crate) fn kill(child: &Child, signal: Signal) -> Result<()> {
    Ok(kill_process(Pid::from_child(child), signal)?)
}
