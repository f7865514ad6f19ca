//! The wait for a lock: blocked in the kernel, so that it ends at once, and bounded, which the kernel's is not.
//!
//! Each request blocks in a thread of its own and comes back through a channel. A request that nobody waits
//! for any more gives its file back as soon as it gets it.

use std::fs::File;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// What is waited for: the gate, through which all go one by one, and behind it the lock.
pub(super) struct Files {
    pub(super) gate: File,
    pub(super) lock: File,
    pub(super) operation: FlockOperation,
}

/// How long is waited, in all, and how much of that a writer leaves the gate open.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// After this long the wait is given up.
    pub wait: Duration,
    /// For this long, as a part of `wait`, a writer waits for a quiet moment and stops nobody.
    pub polite: Duration,
}

/// Who does not want to wait still waits for others to walk through the gate, which is a matter of microseconds
/// when the machine has time for them.
const LEAST: Duration = Duration::from_millis(100);

/// After this long people are told what is waited for.
const SILENT: Duration = Duration::from_secs(1);

enum Granted {
    Gate(File),
    Lock(File),
}

struct Requests {
    sender: Sender<io::Result<Granted>>,
    granted: Receiver<io::Result<Granted>>,
}

impl Requests {
    fn new() -> Self {
        let (sender, granted) = channel();
        Self { sender, granted }
    }

    fn request(&self, file: File, operation: FlockOperation, tell: fn(File) -> Granted) -> io::Result<()> {
        let sender = self.sender.clone();
        let wait = move || {
            let answer = blocking(&file, operation).map(|()| tell(file));
            // Nobody may be left who wants it: then the file is closed, and the lock free.
            let _ = sender.send(answer);
        };
        std::thread::Builder::new().spawn(wait).map(drop)
    }
}

/// Waits until the lock is had. `is_inside` says whether the gate is ours already. `None` when the time is
/// over; the gate is open again then.
pub(super) fn wait(
    files: Files,
    is_inside: bool,
    patience: Patience,
    mut tell: impl FnMut(),
) -> io::Result<Option<File>> {
    let (started, limit) = (Instant::now(), patience.wait.max(LEAST));
    let requests = Requests::new();
    let Files { gate, lock, operation } = files;
    let (mut to_ask, mut lock, mut inside) = (Some(gate), Some(lock), None);
    if is_inside {
        inside = to_ask.take();
    }
    let is_polite = !is_inside && !patience.polite.is_zero();
    // Who is inside waits for the lock; who is polite waits for it outside.
    if let Some(lock) = lock.take_if(|_| is_inside || is_polite) {
        requests.request(lock, operation, Granted::Lock)?;
    }
    let mut tell_at = Some(SILENT);
    let mut ask_at = to_ask.is_some().then_some(if is_polite { patience.polite } else { Duration::ZERO });
    loop {
        let passed = started.elapsed();
        if ask_at.is_some_and(|at| at <= passed) {
            ask_at = None;
            if let Some(gate) = to_ask.take() {
                requests.request(gate, FlockOperation::LockExclusive, Granted::Gate)?;
            }
        }
        if tell_at.is_some_and(|at| at <= passed) {
            tell_at = None;
            tell();
        }
        let next = [Some(limit), tell_at, ask_at].into_iter().flatten().min();
        let rest = next.unwrap_or(limit).saturating_sub(passed);
        match requests.granted.recv_timeout(rest) {
            Ok(Ok(Granted::Lock(lock))) => return Ok(Some(lock)),
            Ok(Ok(Granted::Gate(gate))) => {
                inside = Some(gate);
                if let Some(lock) = lock.take() {
                    requests.request(lock, operation, Granted::Lock)?;
                }
            }
            Ok(Err(refused)) => return Err(refused),
            Err(RecvTimeoutError::Timeout) if started.elapsed() < limit => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    drop(inside);
    Ok(None)
}

/// Locks one file within this time, and gives it back. None when the time is over. Of a wait that takes a second `tell` is told.
pub(super) fn within(
    file: File,
    operation: FlockOperation,
    limit: Duration,
    mut tell: impl FnMut(),
) -> io::Result<Option<File>> {
    let (started, requests) = (Instant::now(), Requests::new());
    requests.request(file, operation, Granted::Lock)?;
    let limit = limit.max(LEAST);
    let mut next = SILENT.min(limit);
    loop {
        match requests.granted.recv_timeout(next.saturating_sub(started.elapsed())) {
            Ok(Ok(Granted::Lock(file) | Granted::Gate(file))) => return Ok(Some(file)),
            Ok(Err(refused)) => return Err(refused),
            Err(RecvTimeoutError::Timeout) if started.elapsed() < limit => {
                tell();
                next = limit;
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Ok(None),
        }
    }
}

/// Whether the file could be locked at once.
pub(super) fn at_once(file: &File, operation: FlockOperation) -> io::Result<bool> {
    loop {
        return match flock(file, operation) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(Errno::INTR) => continue,
            Err(refused) => Err(refused.into()),
        };
    }
}

fn blocking(file: &File, operation: FlockOperation) -> io::Result<()> {
    loop {
        match flock(file, operation) {
            Err(Errno::INTR) => {}
            done => return Ok(done?),
        }
    }
}
