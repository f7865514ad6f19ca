//! The locks by which a tool keeps its whole cache to itself, such as cargo's `.package-cache`.

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::{self, Mode, OFlags};
use rustix::io::Errno;

use super::busy;
use super::place::Place;
use crate::store::{Locked, Sweeping};

/// Lock files of a tool below one directory.
#[derive(Debug, Default)]
pub struct ToolLocks {
    /// Their paths, from the directory that is swept.
    files: Vec<PathBuf>,
    /// How long it is waited for all of them, once a batch.
    wait: Duration,
    held: Option<Vec<Locked>>,
    /// The tool had one of them for as long as was waited: this batch does without.
    is_refused: bool,
}

impl ToolLocks {
    /// Locks of these files; those that are not there yet, nobody has.
    pub fn new(files: Vec<PathBuf>, wait: Duration) -> Self {
        Self { files, wait, held: None, is_refused: false }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Whether they are ours. Takes them where they are not.
    pub(super) fn take(&mut self, place: &Place) -> bool {
        if self.held.is_some() || self.files.is_empty() {
            return true;
        }
        if self.is_refused {
            return false;
        }
        let all: Option<Vec<_>> = self.files.iter().map(|file| self.lock(place, file)).collect();
        let held = all.map(|all| all.into_iter().flatten().collect());
        self.is_refused = held.is_none();
        self.held = held;
        self.held.is_some()
    }

    /// The locked file; none where there is no such file. The outer none where the tool has it.
    fn lock(&self, place: &Place, file: &std::path::Path) -> Option<Option<Locked>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match fs::openat(place.as_fd(), file, flags, Mode::empty()) {
            Err(Errno::NOENT) => Some(None),
            Err(_) => None,
            Ok(opened) => {
                let opened = Sweeping::lock_within(opened.into(), self.wait)?;
                busy::lock(&opened).is_ok().then_some(Some(opened))
            }
        }
    }

    /// Lets the tool have them.
    pub(super) fn release(&mut self) {
        self.held = None;
        self.is_refused = false;
    }
}

impl Drop for ToolLocks {
    fn drop(&mut self) {
        self.release();
    }
}
