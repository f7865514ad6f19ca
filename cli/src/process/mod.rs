//! A command that is run for somebody: its streams are the caller's, signals reach it, its end is told.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;

use crate::error::{Blame, Explain};

pub(crate) mod proc;
pub(crate) mod short;

const FORWARDED: [i32; 6] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2];

/// Why a command could not be run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It does not start.
    #[error("cannot run '{command}'")]
    Start {
        /// The program.
        command: String,
        /// Why not.
        source: std::io::Error,
    },
    /// Signals cannot be caught, or the end cannot be waited for.
    #[error("cannot watch over '{command}'")]
    Watch {
        /// The program.
        command: String,
        /// Why not.
        source: std::io::Error,
    },
}

impl Explain for Error {
    fn blame(&self) -> Blame {
        match self {
            Self::Start { source, .. } if source.kind() == std::io::ErrorKind::NotFound => Blame::NoCommand,
            Self::Start { .. } => Blame::Command,
            Self::Watch { .. } => Blame::Surroundings,
        }
    }

    fn help(&self) -> Vec<String> {
        match self {
            Self::Start { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                vec!["is it in PATH? A line for the shell needs one: sh -c '…'".into()]
            }
            _ => vec![],
        }
    }
}

/// Runs the command to its end and gives its exit code, 128 + n where signal n ended it. Signals that are meant
/// to end or to nudge us go to it.
///
/// # Errors
/// When it cannot be started or watched.
pub fn run(program: &OsString, arguments: &[OsString]) -> Result<u8, Error> {
    let command = program.to_string_lossy();
    let watch = |source| Error::Watch { command: command.clone().into(), source };
    // Before the command runs: a signal that comes in between is kept for it.
    let mut signals = Signals::new(heard()).map_err(watch)?;
    let mut child = Command::new(program)
        .args(arguments)
        .spawn()
        .map_err(|source| Error::Start { command: command.clone().into(), source })?;
    let pid = Pid::from_child(&child);
    let handle = signals.handle();
    let forward = std::thread::spawn(move || {
        for signal in &mut signals {
            if let Some(signal) = Signal::from_named_raw(signal).filter(|_| !is_heard_by_all(signal)) {
                // Its end is seen by whoever waits.
                let _ = kill_process(pid, signal);
            }
        }
    });
    let end = end(&mut child, pid, || {
        handle.close();
        // Nobody signals the pid once it may be another's.
        let _ = forward.join();
    });
    end.map(code).map_err(watch)
}

/// Waits for the end, and calls `before` while the pid is still the child's.
fn end(child: &mut Child, pid: Pid, before: impl FnOnce()) -> std::io::Result<ExitStatus> {
    let watched = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(pid), watched) {}
    before();
    child.wait()
}

/// As shells tell it.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(125)
}

/// What is forwarded. A signal that our caller ignores (nohup) stays ignored, by the command too.
fn heard() -> Vec<i32> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = ignored(&status);
    FORWARDED.into_iter().filter(|signal| ignored & (1 << (signal - 1)) == 0).collect()
}

/// The set of ignored signals in `/proc/PID/status` (proc_pid_status(5)).
fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// A terminal sends its interrupt to the command as well; two of them make docker end without cleaning up.
fn is_heard_by_all(signal: i32) -> bool {
    let is_foreground =
        || proc::stat(std::process::id()).is_some_and(|us| us.foreground == i64::from(us.group));
    matches!(signal, SIGINT | SIGQUIT) && is_foreground()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_told_as_shells_do() {
        let sh = |line: &str| run(&"sh".into(), &["-c".into(), line.into()]).unwrap();
        assert_eq!([sh("true"), sh("exit 3"), sh("kill -9 $$")], [0, 3, 137]);
        assert!(matches!(run(&"/nowhere/at/all".into(), &[]), Err(Error::Start { .. })));
    }

    #[test]
    fn ignored_signals_are_read_from_the_kernels_mask() {
        assert_eq!(ignored("Name:\tx\nSigIgn:\t0000000000001001\n"), 0x1001);
        assert_eq!(ignored(""), 0);
    }
}
