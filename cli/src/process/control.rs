//! Who signals a command while it runs: whoever signals us, its time limit, the end of those who wanted it.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use super::proc;

/// How long a command may run, and with whom. Without limits it ends by itself, or by signals that we pass on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// The longest that it may run; then it gets SIGTERM.
    pub timeout: Option<Duration>,
    /// How long it may take to end, once it was asked to; then it gets SIGKILL.
    pub grace: Option<Duration>,
    /// Its end is asked for when this process ends.
    pub owner: Option<u32>,
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
}

enum Event {
    Signal(i32),
    Ownerless,
    Ended,
}

/// What is signalled, until [`Control::finish`].
pub(super) struct Control {
    events: Sender<Event>,
    signals: Handle,
    listener: JoinHandle<()>,
    controller: JoinHandle<Option<Stopped>>,
}

impl Control {
    pub(super) fn start(pid: Pid, mut signals: Signals, limits: Limits) -> Self {
        let (events, received) = channel();
        let handle = signals.handle();
        let sender = events.clone();
        let listener = std::thread::spawn(move || {
            for signal in &mut signals {
                // Nobody listens once the command has ended.
                let _ = sender.send(Event::Signal(signal));
            }
        });
        if let Some(owner) = limits.owner {
            wait_for_end_of(owner, events.clone());
        }
        let controller = std::thread::spawn(move || control(pid, &received, limits));
        Self { events, signals: handle, listener, controller }
    }

    /// Ends the signalling, and tells what the command was asked to end for.
    pub(super) fn finish(self) -> Option<Stopped> {
        self.signals.close();
        let _ = self.events.send(Event::Ended);
        let _ = self.listener.join();
        self.controller.join().unwrap_or(None)
    }
}

fn control(pid: Pid, events: &Receiver<Event>, limits: Limits) -> Option<Stopped> {
    let mut stopped = None;
    let mut deadline = limits.timeout.map(|timeout| (Instant::now() + timeout, Signal::TERM));
    loop {
        let event = match deadline {
            None => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some((at, _)) => events.recv_timeout(at.saturating_duration_since(Instant::now())),
        };
        let (signal, reason) = match event {
            Ok(Event::Ended) | Err(RecvTimeoutError::Disconnected) => return stopped,
            Ok(Event::Signal(signal)) => {
                let ends = [SIGHUP, SIGINT, SIGQUIT, SIGTERM].contains(&signal);
                let sent = Signal::from_named_raw(signal).filter(|_| !is_heard_by_all(signal));
                (sent, ends.then_some(Stopped::Signal(signal)))
            }
            Ok(Event::Ownerless) => (Some(Signal::TERM), Some(Stopped::Ownerless)),
            Err(RecvTimeoutError::Timeout) => {
                (deadline.take().map(|(_, signal)| signal), Some(Stopped::Timeout))
            }
        };
        if let Some(signal) = signal {
            // Its end is seen by whoever waits.
            let _ = kill_process(pid, signal);
        }
        if reason.is_some() && stopped.is_none() {
            stopped = reason;
            deadline = limits.grace.map(|grace| (Instant::now() + grace, Signal::KILL)).or(deadline);
        }
    }
}

/// Tells when the process ends: at once, from the kernel. On a kernel without pidfds (before 5.3) never.
fn wait_for_end_of(owner: u32, events: Sender<Event>) {
    let Some(pid) = i32::try_from(owner).ok().and_then(Pid::from_raw) else { return };
    let owner = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(owner) => owner,
        Err(Errno::SRCH) => {
            let _ = events.send(Event::Ownerless);
            return;
        }
        Err(_) => return,
    };
    // The thread ends with us, or with the owner.
    std::thread::spawn(move || {
        let mut waited = [PollFd::new(&owner, PollFlags::IN)];
        while let Err(Errno::INTR) = poll(&mut waited, None) {}
        let _ = events.send(Event::Ownerless);
    });
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
        let limits = Limits { owner: Some(owner.id()), ..Limits::default() };
        let waiting = std::thread::spawn(move || sh("exec sleep 60", limits));
        drop(owner.stdin.take());
        owner.wait().unwrap();
        let ended = Ended { code: 143, stopped: Some(Stopped::Ownerless) };
        assert_eq!(waiting.join().unwrap(), ended);
        assert_eq!(sh("exec sleep 60", limits), ended, "who has ended already wants it no more");
    }
}
