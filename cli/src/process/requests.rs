//! The same as for a command that we wait for, where what we wait for is an engine's answer: who asks that it ends.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::Signal;
use signal_hook::consts::SIGWINCH;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use super::control::{Control, Event, Limits, Stopped};
use super::heard;
use super::owner::{Owner, Watched};

/// What comes of whoever signals us, of a time limit, and of the end of who wanted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    /// It is to get this signal.
    Signal(Signal),
    /// Our terminal has another size.
    Resized,
}

/// Listens while it lives, and keeps what comes while nobody asks.
pub(crate) struct Requests {
    control: Control,
    heard: UnboundedReceiver<Heard>,
    listeners: Vec<tokio::task::JoinHandle<()>>,
}

enum Heard {
    Signal(i32),
    Ownerless,
}

impl Requests {
    /// Listens from now on; the time counts from now.
    pub(crate) fn new(limits: Limits) -> io::Result<Self> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut listeners = Vec::new();
        for number in heard().into_iter().chain([SIGWINCH]) {
            let mut stream = signal(SignalKind::from_raw(number))?;
            let sender = sender.clone();
            listeners.push(tokio::spawn(async move {
                while stream.recv().await.is_some() && sender.send(Heard::Signal(number)).is_ok() {}
            }));
        }
        match limits.owner.and_then(Owner::watched) {
            // It ends with the process, if not before.
            Some(Watched::Alive(handle)) => {
                std::thread::Builder::new().spawn(move || tell_end(&handle, &sender)).map(drop)?;
            }
            // The receiver is there.
            Some(Watched::Ended) => drop(sender.send(Heard::Ownerless)),
            None => {}
        }
        Ok(Self { control: Control::new(limits), heard: receiver, listeners })
    }

    /// What it was asked to end for, where it was.
    pub(crate) fn stopped(&self) -> Option<Stopped> {
        self.control.stopped()
    }

    /// What it gets when nobody reads any more what it writes.
    pub(crate) fn unread(&mut self) -> Option<Request> {
        self.control.on(Event::Unread).map(Request::Signal)
    }

    /// The next request. Dropped half-way, it loses none.
    pub(crate) async fn next(&mut self) -> Request {
        loop {
            let rest = self.control.rest();
            let event = tokio::select! {
                Some(heard) = self.heard.recv() => match heard {
                    Heard::Signal(SIGWINCH) => return Request::Resized,
                    Heard::Signal(signal) => Event::Signal(signal),
                    Heard::Ownerless => Event::Ownerless,
                },
                () = after(rest) => Event::Late,
            };
            if let Some(signal) = self.control.on(event) {
                return Request::Signal(signal);
            }
        }
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        self.listeners.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

/// None is never over.
async fn after(rest: Option<Duration>) {
    match rest {
        Some(rest) => tokio::time::sleep(rest).await,
        None => std::future::pending().await,
    }
}

/// Waits for the end of the process that this handle (a pidfd) means.
fn tell_end(handle: &OwnedFd, sender: &UnboundedSender<Heard>) {
    loop {
        match poll(&mut [PollFd::new(handle, PollFlags::IN)], None) {
            Err(Errno::INTR) => {}
            Err(_) => return,
            // Nobody listens any more where the container has ended.
            Ok(_) => return drop(sender.send(Heard::Ownerless)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_time_an_owner_and_then_the_end_of_patience() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let grace = Some(Duration::from_millis(20));
            let timeout = Some(Duration::from_millis(20));
            let mut late = Requests::new(Limits { timeout, grace, owner: None }).unwrap();
            assert_eq!(late.next().await, Request::Signal(Signal::TERM));
            assert_eq!(late.stopped(), Some(Stopped::Timeout));
            assert_eq!(late.next().await, Request::Signal(Signal::KILL));

            let mut owner = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
            let limits = Limits { timeout: None, grace, owner: Some(Owner::of(owner.id())) };
            let mut orphaned = Requests::new(limits).unwrap();
            owner.kill().unwrap();
            owner.wait().unwrap();
            assert_eq!(orphaned.next().await, Request::Signal(Signal::TERM));
            assert_eq!(orphaned.stopped(), Some(Stopped::Ownerless));
            let mut ended = Requests::new(limits).unwrap();
            assert_eq!(ended.next().await, Request::Signal(Signal::TERM), "it had ended before");
        });
    }
}
