//! Which directories are still to be listed, and who lists them: whoever is free takes the last one found, whose parent is open most
//! likely.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};

use rustix::io::Errno;

use super::super::place;
use super::super::tree::{Full, Id};
use super::{Failure, Scan, Walk};

pub(super) struct State {
    pub(super) scan: Scan,
    /// Directories that are still to be listed, by the directory that they are in.
    groups: Vec<Group>,
    /// So many of them, the first ones, are not open.
    closed: usize,
    /// How many threads are at one.
    working: usize,
    /// How many have nothing to do until somebody finds something.
    waiting: usize,
    pub(super) error: Option<Full>,
}

impl State {
    pub(super) fn new(scan: Scan) -> Self {
        Self { scan, groups: Vec::new(), closed: 0, working: 0, waiting: 0, error: None }
    }
}

/// Directories that are in one directory.
pub(super) struct Group {
    pub(super) parent: Id,
    /// Open, unless too many are.
    pub(super) fd: Option<Arc<Open>>,
    pub(super) children: Vec<Id>,
}

/// An open directory that is counted.
pub(super) struct Open {
    pub(super) fd: OwnedFd,
    count: Arc<AtomicUsize>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a thread does next.
pub(super) enum Task {
    /// Lists a directory.
    List { id: Id, name: CString, parent: Arc<Open> },
    /// Opens the parent of these again.
    Reopen(Group),
}

impl Walk<'_> {
    pub(super) fn counted(&self, fd: OwnedFd) -> Open {
        self.open.fetch_add(1, Ordering::Relaxed);
        Open { fd, count: self.open.clone() }
    }

    /// Somebody may have something to do, or all is done.
    fn wake(&self, state: &State) {
        // Each call asks the kernel, whether somebody waits or not.
        if state.waiting > 0 {
            self.ready.notify_all();
        }
    }

    /// What is to be done next; none when all is done.
    pub(super) fn next(&self) -> Option<Task> {
        let mut state = self.lock();
        loop {
            if state.error.is_some() {
                self.wake(&state);
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
                self.wake(&state);
                return None;
            }
            state.waiting += 1;
            state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
    }

    pub(super) fn done(&self, id: Id, done: Result<(), Failure>) {
        let mut state = self.lock();
        state.working -= 1;
        match done {
            Ok(()) => {}
            Err(Failure::Full) => state.error = Some(Full),
            Err(Failure::Refused(errno)) => state.scan.refuse(id, errno),
        }
        self.wake(&state);
    }

    /// Opens the directory that these are in from the root.
    pub(super) fn reopen(&self, mut group: Group) {
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
        let mut state = self.lock();
        state.working -= 1;
        self.wake(&state);
    }

    /// Leaves directories to whoever is free. Of what is open too much, the highest is closed, which is needed last.
    pub(super) fn push(&self, group: Group) {
        let mut state = self.lock();
        state.groups.push(group);
        let State { groups, closed, .. } = &mut *state;
        *closed = (*closed).min(groups.len() - 1);
        while self.open.load(Ordering::Relaxed) > self.most_open && *closed + 1 < groups.len() {
            groups[*closed].fd = None;
            *closed += 1;
        }
        self.wake(&state);
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
}
