//! Looks at all that is below a directory, on several threads, without recursion, and with a bounded number of open
//! directories, so that neither depth nor width nor somebody who renames things meanwhile can lead it astray.
//!
//! Who takes a directory lists it, asks for each of its files, and leaves its directories to whoever is free, the last found first.
//! A directory is kept open as long as something in it is to be opened; above a bound it is closed, and opened anew from the root.
//! [`queue`] says who does what next, [`list`] does it.

use std::collections::HashSet;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use super::clock::Clock;
use super::error::Error;
use super::place::{self, Key, Place};
use super::tree::{Full, Id, Marks, Tree};

mod list;
mod queue;

use list::Listing;
use queue::{State, Task};

/// Whose files may go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Owners {
    /// Anybody's.
    #[default]
    Any,
    /// Those of these users, by their numbers.
    Only(Vec<u32>),
}

impl Owners {
    pub(super) fn has(&self, user: u32) -> bool {
        match self {
            Self::Any => true,
            Self::Only(users) => users.contains(&user),
        }
    }
}

/// How a directory is looked at.
#[derive(Debug)]
pub struct Look<'a> {
    /// When files were used.
    pub clock: &'a Clock,
    /// Whose files may go.
    pub owners: &'a Owners,
    /// Directories of our own, which stay with all that is in them.
    pub ours: &'a HashSet<Key>,
    /// How many threads look.
    pub threads: usize,
}

/// What was found.
#[derive(Debug)]
pub struct Scan {
    /// All of it.
    pub tree: Tree,
    /// Directories that could not be read to their end, the first of them, and why.
    pub unread: Vec<(Id, Errno)>,
    /// How many those are in all.
    pub unread_in_all: usize,
}

impl Scan {
    /// A directory could not be read to its end.
    fn refuse(&mut self, id: Id, errno: Errno) {
        let mark = if errno == Errno::XDEV { Marks::MOUNT } else { Marks::UNREAD };
        self.tree.mark(id, mark);
        // Gone, or another thing by now: whoever looks at its place again will see.
        if matches!(errno, Errno::XDEV | Errno::NOENT | Errno::NOTDIR | Errno::LOOP) {
            return;
        }
        self.unread_in_all += 1;
        if self.unread.len() < TOLD {
            self.unread.push((id, errno));
        }
    }
}

/// Of so many directories that cannot be read it is told why.
const TOLD: usize = 100;

/// Looks at all that is below the directory.
///
/// # Errors
/// When the directory itself cannot be read, or holds more than can be numbered.
pub fn walk(place: &Place, look: &Look<'_>) -> Result<Scan, Error> {
    let refused = |source| Error::open(place.path(), source);
    let stat = place.stat().map_err(refused)?;
    let root = place::found(&stat, look.clock.used(&stat), Marks::default());
    let walk = Walk {
        place,
        look,
        device: place.key().device,
        open: Arc::new(AtomicUsize::new(0)),
        most_open: most_open(),
        state: Mutex::new(State::new(Scan { tree: Tree::new(&root), unread: Vec::new(), unread_in_all: 0 })),
        ready: Condvar::new(),
    };
    let fd = place.root().map_err(refused)?;
    walk.list(Id::ROOT, walk.counted(fd), &mut Listing::default()).map_err(|failure| walk.told(failure))?;
    let others = look.threads.saturating_sub(1);
    std::thread::scope(|scope| {
        for _ in 0..others {
            // Whoever gets no thread does with those there are.
            if std::thread::Builder::new().spawn_scoped(scope, || walk.work()).is_err() {
                break;
            }
        }
        walk.work();
    });
    let state = walk.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    match state.error {
        Some(Full) => Err(Error::Full(place.path().into())),
        None => Ok(state.scan),
    }
}

/// How many directories are kept open at most: half of what this process may, as others need some too.
pub(super) fn most_open() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.map_or(1024, |limit| usize::try_from(limit / 2).unwrap_or(1024)).clamp(8, 1024)
}

/// Why a directory was not read to its end.
enum Failure {
    Refused(Errno),
    Full,
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self::Refused(errno)
    }
}

impl From<Full> for Failure {
    fn from(_: Full) -> Self {
        Self::Full
    }
}

struct Walk<'a> {
    place: &'a Place,
    look: &'a Look<'a>,
    device: (u32, u32),
    open: Arc<AtomicUsize>,
    most_open: usize,
    state: Mutex<State>,
    ready: Condvar,
}

impl Walk<'_> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self, failure: Failure) -> Error {
        match failure {
            Failure::Refused(errno) => Error::open(self.place.path(), errno),
            Failure::Full => Error::Full(self.place.path().into()),
        }
    }

    fn work(&self) {
        let mut listing = Listing::default();
        while let Some(task) = self.next() {
            match task {
                Task::List { id, name, parent } => {
                    let done = self.enter(id, &name, &parent, &mut listing);
                    // Its parent may be the last that keeps that open.
                    drop(parent);
                    self.done(id, done);
                }
                Task::Reopen(group) => self.reopen(group),
            }
        }
    }
}
