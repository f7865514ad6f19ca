//! The directories of a tree, opened again: each from its parent, and only if it is still the one that was looked at.

use std::collections::{HashMap, VecDeque};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use rustix::io::Errno;

use super::place::{self, Place};
use super::tree::{Id, Tree};

/// So many are kept open by all threads together, unless this process may have few.
const KEPT: usize = 128;

/// Open directories of a tree.
#[derive(Debug)]
pub(super) struct Directories<'a> {
    place: &'a Place,
    tree: &'a Tree,
    open: HashMap<Id, Rc<OwnedFd>>,
    /// In the order in which they were opened.
    order: VecDeque<Id>,
    /// Those that have another name by now.
    renamed: HashMap<Id, CString>,
    most: usize,
}

impl<'a> Directories<'a> {
    /// One of so many threads' own.
    pub(super) fn new(place: &'a Place, tree: &'a Tree, threads: usize) -> Self {
        let most = (KEPT.min(super::walk::most_open()) / threads.max(1)).max(4);
        Self { place, tree, open: HashMap::new(), order: VecDeque::new(), renamed: HashMap::new(), most }
    }

    /// The name that it has by now.
    pub(super) fn name(&self, id: Id) -> &CStr {
        match self.renamed.get(&id) {
            Some(name) => name,
            None => self.tree.name(id),
        }
    }

    /// It got another name from us.
    pub(super) fn rename(&mut self, id: Id, name: CString) {
        self.renamed.insert(id, name);
    }

    /// Opens a directory: each that is above it and not open, or, of more than are kept open, the last ones.
    ///
    /// # Errors
    /// `NOENT` where another one stands there by now, else what the kernel says.
    pub(super) fn open(&mut self, id: Id) -> Result<Rc<OwnedFd>, Errno> {
        let mut above = Vec::new();
        let mut at = id;
        let mut fd = loop {
            if let Some(fd) = self.open.get(&at) {
                break fd.clone();
            }
            if at == Id::ROOT {
                break self.keep(at, self.place.root()?);
            }
            above.push(at);
            at = self.tree.entry(at).parent();
        };
        if above.len() > self.most {
            let far = above.split_off(self.most);
            let names = far.iter().rev().map(|&id| self.name(id));
            // The kernel stays inside on the whole way, and the last one is known by its number.
            let next = self.place.descend(fd.try_clone().map_err(|_| Errno::MFILE)?, names)?;
            fd = self.checked(far[0], next)?;
        }
        for id in above.into_iter().rev() {
            let next = self.place.directory(fd.as_fd(), self.name(id))?;
            fd = self.checked(id, next)?;
        }
        Ok(fd)
    }

    /// Keeps it, if it is the one that was looked at.
    fn checked(&mut self, id: Id, fd: OwnedFd) -> Result<Rc<OwnedFd>, Errno> {
        let is_same = place::look(&fd)?.stx_ino == self.tree.entry(id).inode;
        if is_same { Ok(self.keep(id, fd)) } else { Err(Errno::NOENT) }
    }

    fn keep(&mut self, id: Id, fd: OwnedFd) -> Rc<OwnedFd> {
        if self.order.len() >= self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.open.remove(&oldest);
        }
        let fd = Rc::new(fd);
        self.order.push_back(id);
        self.open.insert(id, fd.clone());
        fd
    }

    /// It is to be removed, and need not be open any more.
    pub(super) fn close(&mut self, id: Id) {
        if self.open.remove(&id).is_some() {
            self.order.retain(|&open| open != id);
        }
    }
}
