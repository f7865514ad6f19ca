//! Commands that do not outlive us, whatever ends us.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::process::{Signal, getppid, set_parent_process_death_signal};

use super::Error;

/// The word that makes our own program become another one: the kernel's promise has to be asked for by the process
/// that it is about.
const WORD: &str = "__bound";

/// Our own program, also when its file was replaced by another version meanwhile (proc_pid_exe(5)).
pub(crate) const OURSELVES: &str = "/proc/self/exe";

/// A command that gets SIGTERM from the kernel when this process ends, also by SIGKILL. It has to be started by the
/// thread that waits for it: the promise is about that thread (prctl(2), `PR_SET_PDEATHSIG`).
#[must_use]
pub fn bound(program: &OsStr) -> Command {
    let mut command = Command::new(OURSELVES);
    command.arg(WORD).arg(std::process::id().to_string()).arg(program);
    command
}

/// Becomes the command in `[WORD, pid, program, argument…]`, bound to the parent of that pid. Gives why not; none where
/// the words are not of this form.
pub fn exec_bound(words: &[OsString]) -> Option<Error> {
    let [word, parent, program, arguments @ ..] = words else { return None };
    if word != WORD {
        return None;
    }
    let refused = |source| Error::Start { command: program.to_string_lossy().into_owned(), source };
    if let Err(errno) = set_parent_process_death_signal(Some(Signal::TERM)) {
        return Some(refused(errno.into()));
    }
    // It may have ended before the kernel was asked.
    let is_there = getppid().is_some_and(|pid| *parent == *pid.as_raw_nonzero().to_string());
    if !is_there {
        return Some(refused(std::io::Error::other("whoever started it has ended")));
    }
    Some(refused(Command::new(program).args(arguments).exec()))
}
