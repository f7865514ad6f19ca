//! A lock on a file that ends with a value.
//!
//! flock(2) locks an open file description, not a process: a child that another thread has just forked has it too, until its
//! exec closes it. What is unlocked by being closed is still locked for whoever asks in that moment. So it is unlocked aloud.

use std::borrow::Borrow;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, FdFlags, fcntl_setfd};

use super::Mode;

/// A file that is locked for as long as this lives, or somebody to whom it was passed on.
#[derive(Debug)]
pub struct Locked(File);

impl Locked {
    /// Locks a file that nobody else knows yet, alone.
    pub(super) fn new(file: File) -> Result<Self, Errno> {
        flock(&file, FlockOperation::NonBlockingLockExclusive).map(|()| Self(file))
    }

    /// Locks a file where that can be done at once, and gives it back where it cannot.
    pub(super) fn at_once(file: File, mode: Mode) -> Result<Result<Self, File>, Errno> {
        let operation = match mode {
            Mode::Shared => FlockOperation::NonBlockingLockShared,
            Mode::Exclusive => FlockOperation::NonBlockingLockExclusive,
        };
        match retried(&file, operation) {
            Ok(()) => Ok(Ok(Self(file))),
            Err(Errno::WOULDBLOCK) => Ok(Err(file)),
            Err(refused) => Err(refused),
        }
    }

    /// Locks a file, whenever that may be.
    pub(super) fn wait(file: File, mode: Mode) -> Result<Self, Errno> {
        let operation = match mode {
            Mode::Shared => FlockOperation::LockShared,
            Mode::Exclusive => FlockOperation::LockExclusive,
        };
        retried(&file, operation).map(|()| Self(file))
    }

    /// Lets the commands that are started from now on have it too: it stays locked until the last of them and we are gone, or
    /// until we let go of it.
    pub(super) fn pass_on(&self) -> Result<(), Errno> {
        fcntl_setfd(&self.0, FdFlags::empty())
    }
}

fn retried(file: &File, operation: FlockOperation) -> Result<(), Errno> {
    loop {
        match flock(file, operation) {
            Err(Errno::INTR) => {}
            done => return done,
        }
    }
}

impl Borrow<File> for Locked {
    fn borrow(&self) -> &File {
        &self.0
    }
}

impl AsFd for Locked {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // What cannot be unlocked is closed now, which unlocks it soon.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_while_a_child_still_has_the_file_open() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let open = || File::open(file.path()).unwrap();
        let locked = Locked::new(open()).unwrap();
        // A child between fork and exec has what this one keeps.
        locked.pass_on().unwrap();
        let mut child =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        assert!(Locked::at_once(open(), Mode::Shared).unwrap().is_err(), "it is locked");
        drop(locked);
        assert!(Locked::at_once(open(), Mode::Exclusive).unwrap().is_ok(), "the child has it");
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
