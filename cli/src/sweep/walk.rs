//! Looks at all that is below a directory, on several threads, without recursion, and with a bounded number of open
//! directories, so that neither depth nor width nor somebody who renames things meanwhile can lead it astray.
//!
//! Who takes a directory lists it, asks for each of its files, and leaves its directories to whoever is free, the last found first.
//! A directory is kept open as long as something in it is to be opened; above a bound it is closed, and opened anew from the root.

use std::collections::HashSet;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rustix::fs::RawDir;
use rustix::io::Errno;

use super::clock::Clock;
use super::error::Error;
use super::place::{self, Key, Place};
use super::tree::{Found, Full, Id, Kind, Marks, Tree};

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

/// So many entries are read from a directory before they are asked for and put down.
const BATCH: usize = 4096;

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
        state: Mutex::new(State {
            scan: Scan { tree: Tree::new(&root), unread: Vec::new(), unread_in_all: 0 },
            groups: Vec::new(),
            closed: 0,
            working: 0,
            error: None,
        }),
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

struct State {
    scan: Scan,
    /// Directories that are still to be listed, by the directory that they are in.
    groups: Vec<Group>,
    /// So many of them, the first ones, are not open.
    closed: usize,
    /// How many threads are at one.
    working: usize,
    error: Option<Full>,
}

/// Directories that are in one directory.
struct Group {
    parent: Id,
    /// Open, unless too many are.
    fd: Option<Arc<Open>>,
    children: Vec<Id>,
}

/// An open directory that is counted.
struct Open {
    fd: OwnedFd,
    count: Arc<AtomicUsize>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a thread does next.
enum Task {
    /// Lists a directory.
    List { id: Id, name: CString, parent: Arc<Open> },
    /// Opens the parent of these again.
    Reopen(Group),
}

/// Names as they were listed, and what was found of them. Each thread has one, and uses it again.
struct Listing {
    buffer: Vec<u8>,
    listed: Vec<Listed>,
    /// The names, each with its zero.
    names: Vec<u8>,
    found: Vec<(usize, Found)>,
}

impl Default for Listing {
    fn default() -> Self {
        let buffer = Vec::with_capacity(32 * 1024);
        Self { buffer, listed: Vec::new(), names: Vec::new(), found: Vec::new() }
    }
}

struct Listed {
    inode: u64,
    kind: Option<Kind>,
    /// Where its name begins.
    name: usize,
}

fn name_at(names: &[u8], start: usize) -> &CStr {
    CStr::from_bytes_until_nul(&names[start..]).unwrap_or_default()
}

impl Walk<'_> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counted(&self, fd: OwnedFd) -> Open {
        self.open.fetch_add(1, Ordering::Relaxed);
        Open { fd, count: self.open.clone() }
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

    /// What is to be done next; none when all is done.
    fn next(&self) -> Option<Task> {
        let mut state = self.lock();
        loop {
            if state.error.is_some() {
                self.ready.notify_all();
                return None;
            }
            if let Some(group) = state.groups.last_mut() {
                let task = match group.fd.clone() {
                    Some(parent) => group.children.pop().map(|id| (id, parent)),
                    None => None,
                };
                if task.is_none() || group.children.is_empty() {
                    let group = state.groups.pop()?;
                    if task.is_none() {
                        state.working += 1;
                        return Some(Task::Reopen(group));
                    }
                }
                let (id, parent) = task?;
                state.working += 1;
                let name = state.scan.tree.name(id).to_owned();
                return Some(Task::List { id, name, parent });
            }
            if state.working == 0 {
                self.ready.notify_all();
                return None;
            }
            state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn done(&self, id: Id, done: Result<(), Failure>) {
        let mut state = self.lock();
        state.working -= 1;
        match done {
            Ok(()) => {}
            Err(Failure::Full) => state.error = Some(Full),
            Err(Failure::Refused(errno)) => state.scan.refuse(id, errno),
        }
        drop(state);
        self.ready.notify_all();
    }

    /// Opens the directory that these are in from the root.
    fn reopen(&self, mut group: Group) {
        match self.open_from_root(group.parent) {
            Ok(fd) => {
                group.fd = Some(Arc::new(self.counted(fd)));
                self.push(group);
            }
            Err(errno) => {
                let mut state = self.lock();
                group.children.iter().for_each(|&id| state.scan.refuse(id, errno));
            }
        }
        self.lock().working -= 1;
        self.ready.notify_all();
    }

    /// Leaves directories to whoever is free. Of what is open too much, the highest is closed, which is needed last.
    fn push(&self, group: Group) {
        let mut state = self.lock();
        state.groups.push(group);
        let State { groups, closed, .. } = &mut *state;
        *closed = (*closed).min(groups.len() - 1);
        while self.open.load(Ordering::Relaxed) > self.most_open && *closed + 1 < groups.len() {
            groups[*closed].fd = None;
            *closed += 1;
        }
        drop(state);
        self.ready.notify_all();
    }

    fn open_from_root(&self, id: Id) -> Result<OwnedFd, Errno> {
        let (names, inode) = {
            let state = self.lock();
            let tree = &state.scan.tree;
            let up = std::iter::successors(Some(id), |&id| Some(tree.entry(id).parent()));
            let names = up.take_while(|&id| id != Id::ROOT).map(|id| tree.name(id).to_owned());
            (names.collect::<Vec<_>>(), tree.entry(id).inode)
        };
        let fd = self.place.descend(self.place.root()?, names.iter().rev().map(CString::as_c_str))?;
        // Another one stands there by now.
        if place::look(&fd)?.stx_ino == inode { Ok(fd) } else { Err(Errno::NOENT) }
    }

    /// Opens and lists a directory.
    fn enter(&self, id: Id, name: &CStr, parent: &Open, listing: &mut Listing) -> Result<(), Failure> {
        let fd = self.place.directory(parent.fd.as_fd(), name)?;
        let stat = place::look(&fd)?;
        let is_ours = self.look.ours.contains(&Key::of(&stat));
        let marks = Marks::of(Marks::FOREIGN, !self.look.owners.has(stat.stx_uid))
            .and(Marks::of(Marks::OURS, is_ours));
        let found = place::found(&stat, self.look.clock.used(&stat), marks);
        self.lock().scan.tree.set(id, &found);
        if is_ours { Ok(()) } else { self.list(id, self.counted(fd), listing) }
    }

    /// Puts down all that is in an open directory.
    fn list(&self, id: Id, open: Open, listing: &mut Listing) -> Result<(), Failure> {
        let Listing { buffer, listed, names, found } = listing;
        let mut directories = Vec::new();
        let mut entries = RawDir::new(&open.fd, buffer.spare_capacity_mut());
        let mut end = Ok(());
        loop {
            let entry = entries.next();
            match &entry {
                Some(Ok(entry)) if matches!(entry.file_name().to_bytes(), b"." | b"..") => {}
                Some(Ok(entry)) => {
                    let kind = match entry.file_type() {
                        rustix::fs::FileType::Unknown => None,
                        kind => Some(Kind::from(kind)),
                    };
                    listed.push(Listed { inode: entry.ino(), kind, name: names.len() });
                    names.extend_from_slice(entry.file_name().to_bytes_with_nul());
                }
                Some(Err(errno)) => end = Err((*errno).into()),
                None => {}
            }
            let is_over = !matches!(entry, Some(Ok(_)));
            if is_over || listed.len() == BATCH {
                // In the order of the inodes, which is that of the disk.
                listed.sort_unstable_by_key(|listed| listed.inode);
                let ask = |listed: &Listed| self.ask(&open, listed, name_at(names, listed.name));
                found.extend(listed.iter().filter_map(|listed| Some((listed.name, ask(listed)?))));
                let put = self.put(id, names, found, &mut directories);
                listed.clear();
                names.clear();
                found.clear();
                put?;
            }
            if is_over {
                break;
            }
        }
        if !directories.is_empty() {
            self.push(Group { parent: id, fd: Some(Arc::new(open)), children: directories });
        }
        end
    }

    /// Puts down what was found.
    fn put(
        &self,
        id: Id,
        names: &[u8],
        found: &[(usize, Found)],
        directories: &mut Vec<Id>,
    ) -> Result<(), Full> {
        let mut state = self.lock();
        for (name, found) in found {
            let child = state.scan.tree.push(id, name_at(names, *name), found)?;
            if found.kind == Kind::Directory && !found.marks.has(Marks::MOUNT) {
                directories.push(child);
            }
        }
        Ok(())
    }

    /// What has this name; none where it is gone. A directory tells of itself when it is opened.
    fn ask(&self, open: &Open, listed: &Listed, name: &CStr) -> Option<Found> {
        if listed.kind == Some(Kind::Directory) {
            return Some(Found {
                inode: listed.inode,
                size: 0,
                modified: i64::MAX,
                used: i64::MAX,
                blocks: 0,
                links: 1,
                kind: Kind::Directory,
                marks: Marks::default(),
            });
        }
        let stat = place::look_at(open.fd.as_fd(), name).ok()?;
        let is_other = place::is_mount(&stat) || Key::of(&stat).device != self.device;
        let marks = Marks::of(Marks::MOUNT, is_other)
            .and(Marks::of(Marks::FOREIGN, !self.look.owners.has(stat.stx_uid)));
        Some(place::found(&stat, self.look.clock.used(&stat), marks))
    }
}
