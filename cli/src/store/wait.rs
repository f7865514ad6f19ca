//! The wait for a lock: blocked in the kernel, so that it ends at once, and bounded, which the kernel's is not.
//!
//! Each request blocks in a thread of its own and comes back through a channel. A request that nobody waits
//! for any more gives its lock back as soon as it gets it. [`wait`] and [`within`] block whoever calls them; async code
//! asks [`meanwhile`].

use std::fs::File;
use std::io;
use std::pin::pin;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::Mode;
use super::flock::Locked;

/// What is waited for: the gate, through which all go one by one, and behind it the lock.
pub(super) struct Files {
    /// Locked where we are inside already.
    pub(super) gate: Result<Locked, File>,
    pub(super) lock: File,
    pub(super) mode: Mode,
}

/// How long is waited, in all, and how much of that a writer leaves the gate open.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// After this long the wait is given up.
    pub wait: Duration,
    /// For this long, as a part of `wait`, a writer waits for a quiet moment and stops nobody.
    pub polite: Duration,
}

/// Who does not want to wait still waits for others who have a lock for a moment, which is a matter of microseconds
/// when the machine has time for them.
pub(super) const LEAST: Duration = Duration::from_millis(100);

/// After this long people are told what is waited for.
const SILENT: Duration = Duration::from_secs(1);

enum Granted {
    Gate(Locked),
    Lock(Locked),
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

    fn request(&self, file: File, mode: Mode, granted: fn(Locked) -> Granted) -> io::Result<()> {
        let sender = self.sender.clone();
        // Nobody may be left who wants it: then it is free again.
        request(file, mode, move |answer| drop(sender.send(answer.map(granted))))
    }
}

/// Waits for a lock in a thread of its own, and hands over what came of it.
fn request(
    file: File,
    mode: Mode,
    hand_over: impl FnOnce(io::Result<Locked>) + Send + 'static,
) -> io::Result<()> {
    let wait = move || hand_over(Locked::wait(file, mode).map_err(Into::into));
    std::thread::Builder::new().spawn(wait).map(drop)
}

/// Waits until the lock is had. `None` when the time is over; the gate is open again then.
pub(super) fn wait(files: Files, patience: Patience, mut tell: impl FnMut()) -> io::Result<Option<Locked>> {
    let (started, limit) = (Instant::now(), patience.wait.max(LEAST));
    let requests = Requests::new();
    let Files { gate, lock, mode } = files;
    let (mut to_ask, mut lock, mut inside) = match gate {
        Ok(inside) => (None, Some(lock), Some(inside)),
        Err(gate) => (Some(gate), Some(lock), None),
    };
    let is_polite = inside.is_none() && !patience.polite.is_zero();
    // Who is inside waits for the lock; who is polite waits for it outside.
    if let Some(lock) = lock.take_if(|_| inside.is_some() || is_polite) {
        requests.request(lock, mode, Granted::Lock)?;
    }
    let mut tell_at = Some(SILENT);
    let mut ask_at = to_ask.is_some().then_some(if is_polite { patience.polite } else { Duration::ZERO });
    loop {
        let passed = started.elapsed();
        if ask_at.is_some_and(|at| at <= passed) {
            ask_at = None;
            if let Some(gate) = to_ask.take() {
                requests.request(gate, Mode::Exclusive, Granted::Gate)?;
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
                    requests.request(lock, mode, Granted::Lock)?;
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

/// Locks one file within this time: at once where it is free, without a thread. None when the time is over, and where there is
/// none to wait. Of a wait that takes a second `tell` is told.
pub(super) fn within(
    file: File,
    mode: Mode,
    limit: Duration,
    mut tell: impl FnMut(),
) -> io::Result<Option<Locked>> {
    let (sender, granted) = channel();
    let hand_over = move |answer| drop(sender.send(answer));
    let limit = match begin(file, mode, limit, hand_over)? {
        Begun::Over(locked) => return Ok(locked),
        Begun::Waits(limit) => limit,
    };
    let mut answer = granted.recv_timeout(SILENT.min(limit));
    if answer.is_err() && limit > SILENT {
        tell();
        answer = granted.recv_timeout(limit - SILENT);
    }
    answer.ok().transpose()
}

/// As [`within`], while the event loop goes on with what else it has. Who drops this waits no more.
pub(super) async fn meanwhile(
    file: File,
    mode: Mode,
    limit: Duration,
    mut tell: impl FnMut(),
) -> io::Result<Option<Locked>> {
    let (sender, granted) = oneshot::channel();
    let hand_over = move |answer| drop(sender.send(answer));
    let limit = match begin(file, mode, limit, hand_over)? {
        Begun::Over(locked) => return Ok(locked),
        Begun::Waits(limit) => limit,
    };
    let mut granted = pin!(granted);
    let mut answer = timeout(SILENT.min(limit), &mut granted).await;
    if answer.is_err() && limit > SILENT {
        tell();
        answer = timeout(limit - SILENT, granted).await;
    }
    match answer {
        Ok(Ok(answer)) => answer.map(Some),
        Ok(Err(_)) | Err(_) => Ok(None),
    }
}

/// What came of asking for one file.
enum Begun {
    /// It was free, or there is no time to wait.
    Over(Option<Locked>),
    /// It is waited for, for at most so long.
    Waits(Duration),
}

/// Locks a file at once where it is free, and else waits for it in a thread where there is time for that.
fn begin(
    file: File,
    mode: Mode,
    limit: Duration,
    hand_over: impl FnOnce(io::Result<Locked>) + Send + 'static,
) -> io::Result<Begun> {
    match Locked::at_once(file, mode)? {
        Ok(locked) => Ok(Begun::Over(Some(locked))),
        Err(_) if limit.is_zero() => Ok(Begun::Over(None)),
        Err(file) => request(file, mode, hand_over).map(|()| Begun::Waits(limit.max(LEAST))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_waited_for_only_as_long_as_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let within = |limit| within(File::open(file.path()).unwrap(), Mode::Exclusive, limit, || {});
        let first = within(Duration::ZERO).unwrap().expect("it is free");
        assert!(within(Duration::ZERO).unwrap().is_none());
        assert!(within(Duration::from_millis(1)).unwrap().is_none());
        std::thread::scope(|scope| {
            let second = scope.spawn(|| within(Duration::from_secs(60)).unwrap());
            drop(first);
            assert!(second.join().unwrap().is_some());
        });
    }

    #[tokio::test]
    async fn the_event_loop_goes_on_while_a_lock_is_waited_for() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let meanwhile = |limit| meanwhile(File::open(file.path()).unwrap(), Mode::Exclusive, limit, || {});
        let first = meanwhile(Duration::ZERO).await.unwrap().expect("it is free");
        assert!(meanwhile(Duration::ZERO).await.unwrap().is_none());
        assert!(meanwhile(Duration::from_millis(1)).await.unwrap().is_none());
        // Both on this one thread: a wait that blocked it would never let the first go.
        let long = Duration::from_secs(60);
        let (second, ()) = tokio::join!(meanwhile(long), async { drop(first) });
        assert!(second.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_lock_that_nobody_waits_for_any_more_is_given_back() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let meanwhile = |limit| meanwhile(File::open(file.path()).unwrap(), Mode::Exclusive, limit, || {});
        let first = meanwhile(Duration::ZERO).await.unwrap().expect("it is free");
        let long = Duration::from_secs(60);
        assert!(
            timeout(Duration::from_millis(1), meanwhile(long)).await.is_err(),
            "the limit around it counts"
        );
        drop(first);
        assert!(meanwhile(long).await.unwrap().is_some());
    }
}
