//! A command that is run for somebody: its streams are the caller's, signals reach it, its end is told.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus};

use rustix::process::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

use crate::error::{Blame, Explain};
use crate::telemetry;

mod abbreviation;
mod bound;
pub(crate) mod cgroup;
mod control;
pub(crate) mod discretion;
mod owner;
pub(crate) mod proc;
mod requests;
pub(crate) mod shims;
pub(crate) mod short;
pub(crate) mod survivors;

pub(crate) use abbreviation::abbreviated;
pub(crate) use bound::OURSELVES;
pub use bound::{bound, exec_bound};
pub use control::{Limits, Stopped};
pub use owner::{Owner, Vigil};
pub(crate) use requests::{Request, Requests};

use control::Watch;

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
        source: io::Error,
    },
    /// Signals cannot be caught, so it was not started.
    #[error("cannot watch over '{command}'")]
    Watch {
        /// The program.
        command: String,
        /// Why not.
        source: io::Error,
    },
    /// It ran, and its end could not be waited for.
    #[error("cannot watch over '{command}' any more, so it was killed")]
    Lost {
        /// The program.
        command: String,
        /// Why not.
        source: io::Error,
    },
}

impl Error {
    /// Whether it ran, so that it may have done what it was for.
    pub fn has_started(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }
}

impl Explain for Error {
    fn blame(&self) -> Blame {
        match self {
            Self::Start { source, .. } if source.kind() == std::io::ErrorKind::NotFound => Blame::NoCommand,
            Self::Start { .. } => Blame::Command,
            Self::Watch { .. } | Self::Lost { .. } => Blame::Surroundings,
        }
    }

    fn help(&self) -> Vec<String> {
        match self {
            Self::Start { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                vec!["give its path, or put it in PATH; a line for the shell needs one: sh -c '…'".into()]
            }
            _ => vec![],
        }
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code, 128 + n where signal n ended it.
    pub code: u8,
    /// What it was asked to end for, where it was.
    pub stopped: Option<Stopped>,
}

impl Ended {
    /// In one word, for logs and figures.
    pub fn word(self) -> &'static str {
        match self {
            Self { stopped: Some(Stopped::Signal(_)), .. } => "signal",
            Self { stopped: Some(Stopped::Timeout), .. } => "timeout",
            Self { stopped: Some(Stopped::Ownerless), .. } => "ownerless",
            Self { stopped: Some(Stopped::Unread), .. } => "unread",
            Self { code: 0, .. } => "fine",
            Self { .. } => "failed",
        }
    }
}

/// Runs the command to its end and gives its exit code, 128 + n where signal n ended it. Signals that are meant
/// to end or to nudge us go to it.
///
/// # Errors
/// When it cannot be started or watched.
pub fn run(program: &OsString, arguments: &[OsString]) -> Result<u8, Error> {
    run_within(Command::new(program).args(arguments), Limits::default()).map(|ended| ended.code)
}

/// Runs a command as [`run`], and ends it where its limits say so.
///
/// # Errors
/// As [`run`].
pub fn run_within(command: &mut Command, limits: Limits) -> Result<Ended, Error> {
    let name = command.get_program().to_string_lossy().into_owned();
    telemetry::pass_on(command);
    let watcher = match Watch::new(heard()) {
        Ok(watcher) => watcher,
        Err(source) => return Err(Error::Watch { command: name, source }),
    };
    run_watched(command, |child| watcher.until_end(Pid::from_child(child), limits))
}

/// Runs a command while somebody watches over it. Where nobody can any more, it is killed: its end would be told to nobody.
fn run_watched(
    command: &mut Command,
    until_end: impl FnOnce(&Child) -> io::Result<Option<Stopped>>,
) -> Result<Ended, Error> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(source) => return Err(Error::Start { command: name, source }),
    };
    let ended = until_end(&child)
        .and_then(|stopped| child.wait().map(|status| Ended { code: code(status), stopped }));
    ended.map_err(|source| {
        let _ = child.kill().and_then(|()| child.wait());
        Error::Lost { command: name, source }
    })
}

/// As shells tell it.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(125)
}

/// What is forwarded. A signal that our caller ignores (nohup) stays ignored, by the command too.
fn heard() -> Vec<i32> {
    let ignored = ignored_by_caller();
    FORWARDED.into_iter().filter(|signal| ignored & (1 << (signal - 1)) == 0).collect()
}

/// Whether whoever called us has this signal ignored.
pub fn is_ignored(signal: i32) -> bool {
    ignored_by_caller() & (1 << (signal - 1)) != 0
}

fn ignored_by_caller() -> u64 {
    ignored(&std::fs::read_to_string("/proc/self/status").unwrap_or_default())
}

/// The set of ignored signals in `/proc/PID/status` (proc_pid_status(5)).
fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
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
    fn whoever_is_not_watched_any_more_is_killed_and_known_to_have_run() {
        let mut pid = 0;
        let ended = run_watched(Command::new("sleep").arg("1000"), |child| {
            pid = child.id();
            Err(io::ErrorKind::Other.into())
        });
        assert!(ended.unwrap_err().has_started());
        assert!(proc::is_nobodys(pid), "it was killed, and buried");
        let never = run_watched(&mut Command::new("/nowhere/at/all"), |_| Ok(None));
        assert!(!never.unwrap_err().has_started());
    }

    #[test]
    fn ignored_signals_are_read_from_the_kernels_mask() {
        assert_eq!(ignored("Name:\tx\nSigIgn:\t0000000000001001\n"), 0x1001);
        assert_eq!(ignored(""), 0);
    }
}
