//! Who signals a command while it runs: whoever signals us, its time limit, the end of those who wanted it.

use std::io;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;

use super::owner::{Owner, Watched};
use super::proc;

/// How long a command may run, and with whom. Without limits it ends by itself, or by signals that we pass on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// The longest that it may run; then it gets SIGTERM.
    pub timeout: Option<Duration>,
    /// How long it may take to end, once it was asked to; then it gets SIGKILL.
    pub grace: Option<Duration>,
    /// Its end is asked for when this process ends.
    pub owner: Option<Owner>,
}

/// What a command was asked to end for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// A signal that we were sent.
    Signal(i32),
    /// Its time was over.
    Timeout,
    /// Whoever wanted it has ended.
    Ownerless,
    /// What it writes is read no more.
    Unread,
}

/// What happens while a command runs.
#[derive(Clone, Copy)]
pub(super) enum Event {
    Signal(i32),
    Ownerless,
    Unread,
    Late,
}

/// The signals that are meant for a command, and that of its end. One thread waits for all that can happen, so a short
/// command costs no others.
pub(super) struct Watch {
    signals: SignalDelivery<UnixStream, SignalOnly>,
}

impl Watch {
    /// Listens to these signals. Before the command runs: what comes in between is kept for it.
    pub(super) fn new(heard: Vec<i32>) -> io::Result<Self> {
        let (read, write) = UnixStream::pair()?;
        let all = heard.into_iter().chain([SIGCHLD]);
        Ok(Self { signals: SignalDelivery::with_pipe(read, write, SignalOnly, all)? })
    }

    /// Signals the command until it has ended, and tells what it was asked to end for. It is not waited for: nobody signals
    /// its pid once that may be another's.
    pub(super) fn until_end(mut self, pid: Pid, limits: Limits) -> io::Result<Option<Stopped>> {
        let mut control = Control::new(limits);
        let mut owner = limits.owner.and_then(Owner::watched);
        loop {
            for signal in self.signals.pending().filter(|signal| *signal != SIGCHLD) {
                let asked = control.on(Event::Signal(signal));
                send(pid, asked.filter(|_| !is_heard_by_all(signal)));
            }
            if has_ended(pid)? {
                return Ok(control.stopped);
            }
            if control.is_late() {
                send(pid, control.on(Event::Late));
            }
            if owner.take_if(|owner| owner.has_ended()).is_some() {
                send(pid, control.on(Event::Ownerless));
            }
            self.wait(owner.as_ref(), control.rest())?;
        }
    }

    /// Until a signal comes, the owner ends, or the time is over.
    fn wait(&self, owner: Option<&Watched>, rest: Option<Duration>) -> io::Result<()> {
        // A time that the kernel cannot count is never over.
        let rest = rest.and_then(|rest| Timespec::try_from(rest).ok());
        let mut waited = vec![PollFd::new(self.signals.get_read(), PollFlags::IN)];
        if let Some(Watched::Alive(handle)) = owner {
            waited.push(PollFd::new(handle, PollFlags::IN));
        }
        match poll(&mut waited, rest.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(refused) => Err(refused.into()),
        }
    }
}

/// What was asked of a command so far, and what comes next.
pub(super) struct Control {
    grace: Option<Duration>,
    stopped: Option<Stopped>,
    /// When it gets which signal.
    deadline: Option<(Instant, Signal)>,
}

impl Control {
    pub(super) fn new(limits: Limits) -> Self {
        let deadline = limits.timeout.map(|timeout| (Instant::now() + timeout, Signal::TERM));
        Self { grace: limits.grace, stopped: None, deadline }
    }

    /// What the command was asked to end for, where it was.
    pub(super) fn stopped(&self) -> Option<Stopped> {
        self.stopped
    }

    /// The signal that the command gets for it.
    pub(super) fn on(&mut self, event: Event) -> Option<Signal> {
        let (signal, reason) = match event {
            Event::Signal(signal) => {
                let ends = [SIGHUP, SIGINT, SIGQUIT, SIGTERM].contains(&signal);
                (Signal::from_named_raw(signal), ends.then_some(Stopped::Signal(signal)))
            }
            Event::Ownerless => (Some(Signal::TERM), Some(Stopped::Ownerless)),
            Event::Unread => (Some(Signal::TERM), Some(Stopped::Unread)),
            Event::Late => (self.deadline.take().map(|(_, signal)| signal), Some(Stopped::Timeout)),
        };
        if reason.is_some() && self.stopped.is_none() {
            self.stopped = reason;
            self.deadline = self.grace.map(|grace| (Instant::now() + grace, Signal::KILL)).or(self.deadline);
        }
        signal
    }

    fn is_late(&self) -> bool {
        self.rest().is_some_and(|rest| rest.is_zero())
    }

    /// How long until the next signal is due.
    pub(super) fn rest(&self) -> Option<Duration> {
        self.deadline.map(|(at, _)| at.saturating_duration_since(Instant::now()))
    }
}

fn send(pid: Pid, signal: Option<Signal>) {
    if let Some(signal) = signal {
        // Its end is seen by whoever waits.
        let _ = kill_process(pid, signal);
    }
}

/// Whether the process is there only to be waited for.
fn has_ended(pid: Pid) -> io::Result<bool> {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    loop {
        match waitid(WaitId::Pid(pid), look) {
            Err(Errno::INTR) => {}
            looked => return Ok(looked?.is_some()),
        }
    }
}

/// A terminal sends its interrupt to the command as well; two of them make docker end without cleaning up.
fn is_heard_by_all(signal: i32) -> bool {
    let is_foreground =
        || proc::stat(std::process::id()).is_some_and(|us| us.foreground == i64::from(us.group));
    matches!(signal, SIGINT | SIGQUIT) && is_foreground()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::process::{Ended, run_within};

    fn sh(script: &str, limits: Limits) -> Ended {
        run_within(Command::new("sh").args(["-c", script]), limits).unwrap()
    }

    #[test]
    fn a_command_is_asked_to_end_and_then_made_to() {
        let limits = Limits { timeout: Some(Duration::from_millis(50)), ..Limits::default() };
        let ended = sh("exec sleep 60", limits);
        assert_eq!(ended, Ended { code: 143, stopped: Some(Stopped::Timeout) });
        let limits = Limits { grace: Some(Duration::from_millis(50)), ..limits };
        let ended = sh("trap '' TERM; while :; do sleep 1; done", limits);
        assert_eq!(ended, Ended { code: 137, stopped: Some(Stopped::Timeout) });
        let ended = sh("exit 3", limits);
        assert_eq!(ended, Ended { code: 3, stopped: None });
    }

    #[test]
    fn a_command_ends_with_who_wanted_it() {
        let mut owner = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let limits = Limits { owner: Some(Owner::of(owner.id())), ..Limits::default() };
        let waiting = std::thread::spawn(move || sh("exec sleep 60", limits));
        drop(owner.stdin.take());
        owner.wait().unwrap();
        let ended = Ended { code: 143, stopped: Some(Stopped::Ownerless) };
        assert_eq!(waiting.join().unwrap(), ended);
        assert_eq!(sh("exec sleep 60", limits), ended, "who has ended already wants it no more");
    }
}
