//! Whoever a command runs for, whose end is the command's.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, getpid, kill_process, pidfd_open};

use super::{Error, proc};

/// A process as it was when we began. Until it is looked for again its pid may have been given to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    pid: u32,
    /// When it started, in clock ticks since the boot. None where that is not shown, or it has ended.
    start: Option<u64>,
}

impl Owner {
    /// The process that has this pid now, or has had it.
    pub fn of(pid: u32) -> Self {
        Self { pid, start: proc::stat(pid).map(|stat| stat.start) }
    }

    /// None on a kernel without pidfds (before 5.3): there nobody tells.
    pub(super) fn watched(self) -> Option<Watched> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw)?;
        let handle = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(handle) => handle,
            Err(Errno::SRCH) => return Some(Watched::Ended),
            Err(_) => return None,
        };
        // Who is looked at now stays the one with the pid, or has ended, which the handle tells.
        let is_another =
            proc::stat(self.pid).zip(self.start).is_some_and(|(stat, start)| stat.start != start);
        Some(if is_another { Watched::Ended } else { Watched::Alive(handle) })
    }
}

/// How the end of an owner is seen.
pub(super) enum Watched {
    /// What the kernel tells of its end by.
    Alive(OwnedFd),
    /// It was gone before.
    Ended,
}

impl Watched {
    pub(super) fn has_ended(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        match self {
            Self::Alive(handle) => {
                poll(&mut [PollFd::new(handle, PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready > 0)
            }
            Self::Ended => true,
        }
    }
}

/// While it lives, the end of the owner ends us by SIGTERM: for what comes before a command, which can be hours of waiting for a
/// lock. To be dropped where somebody else listens.
#[derive(Debug)]
pub struct Vigil {
    /// Closed, it ends the thread.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Vigil {
    /// Watches over this process from now on, before it runs `command`. Without an owner that can be seen it does nothing.
    ///
    /// # Errors
    /// When there is no room for a thread or a handle.
    pub fn keep(owner: Option<Owner>, command: &str) -> Result<Self, Error> {
        let watched = owner.and_then(Owner::watched);
        Self::over(watched).map_err(|source| Error::Watch { command: command.to_owned(), source })
    }

    fn over(watched: Option<Watched>) -> io::Result<Self> {
        let Some(watched) = watched else { return Ok(Self { stop: None, thread: None }) };
        let (stop, stopped) = UnixStream::pair()?;
        let thread = std::thread::Builder::new().spawn(move || {
            if ends(&watched, &stopped) {
                // Whoever cannot be signalled by itself goes on: its command looks for the owner again.
                let _ = kill_process(getpid(), Signal::TERM);
            }
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Vigil {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It does not panic, and did what it was for if it did.
            let _ = thread.join();
        }
    }
}

/// Waits for the end of the owner, or of the vigil; whether it is the owner's.
fn ends(watched: &Watched, stopped: &UnixStream) -> bool {
    let Watched::Alive(handle) = watched else { return true };
    loop {
        let mut both = [PollFd::new(handle, PollFlags::IN), PollFd::new(stopped, PollFlags::IN)];
        match poll(&mut both, None) {
            Err(Errno::INTR) => {}
            Err(_) => return false,
            Ok(_) => return both[1].revents().is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn whoever_has_the_pid_now_may_be_another() {
        let us = Owner::of(std::process::id());
        assert!(matches!(us.watched(), Some(Watched::Alive(_))));
        let earlier = Owner { start: us.start.map(|start| start - 1), ..us };
        assert!(matches!(earlier.watched(), Some(Watched::Ended)));
        let mut child = Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        assert!(matches!(Owner::of(child.id()).watched(), Some(Watched::Ended)));
    }

    #[test]
    fn a_vigil_ends_before_its_owner() {
        let mut owner = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        drop(Vigil::keep(Some(Owner::of(owner.id())), "cat").unwrap());
        drop(Vigil::keep(None, "cat").unwrap());
        drop(owner.stdin.take());
        owner.wait().unwrap();
    }
}
