//! One store of images and caches, which many jobs use: its lock, who has it, and which images are still needed.

use std::fs::File;
use std::path::Path;

mod directory;
mod error;
mod holders;
mod identity;
pub mod job;
mod last_prune;
mod last_use;
mod lease;
mod lock;
mod memory;
mod owner;
mod records;
mod scratch;
mod wait;

use directory::Directory;

pub use error::Error;
pub(crate) use error::shown;
pub use holders::{Mode, Record, Role};
pub use identity::{Identity, NameError};
pub use last_prune::LastPrune;
pub use last_use::LastUses;
pub use lease::{HeldLease, Lease, Leases, Quiet, Term};
pub use lock::{ExclusiveGuard, Guard, Notice, SharedGuard};
pub use memory::Memory;
pub use owner::{Liveness, Process};
pub(crate) use records::{Found, Held, Records, Turn};
pub use scratch::Scratch;
pub use wait::Patience;

/// The state that all users of a store on this host share.
#[derive(Debug)]
pub struct Store {
    identity: Identity,
    directory: Directory,
    holders: Directory,
}

/// What goes on in one store.
#[derive(Debug)]
pub struct Overview {
    /// Who holds the lock and who waits for it, the longest first.
    pub records: Vec<Record>,
    /// Which images are needed, the oldest lease first.
    pub leases: Vec<Lease>,
}

/// What was removed that had ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tidied {
    /// So many leases.
    pub leases: usize,
    /// So many directories with files of commands that were killed.
    pub scratch: usize,
}

impl Store {
    /// Opens the store's state, and makes it where it is missing.
    ///
    /// # Errors
    /// When the state directory cannot be used; the error says what to do.
    pub fn open(identity: Identity) -> Result<Self, Error> {
        Self::open_in(&directory::place()?, identity)
    }

    /// Opens the store's state in another state directory than this process's.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_in(state: &Path, identity: Identity) -> Result<Self, Error> {
        let stores = Directory::state(state)?.directory("stores")?;
        let directory = stores.directory(&identity.file_name())?;
        let holders = directory.directory("holders")?;
        Ok(Self { identity, directory, holders })
    }

    /// The records and leases of all stores of this process's state directory, in the order of their directories.
    ///
    /// # Errors
    /// When the state directory cannot be used.
    pub fn all() -> Result<Vec<Overview>, Error> {
        let stores = Directory::state(&directory::place()?)?.directory("stores")?;
        let look = |name: String| {
            let directory = stores.directory(&name)?;
            let records = holders::read(&directory.directory("holders")?)?;
            Ok(Overview { records, leases: Leases::of(&directory)?.list()? })
        };
        stores.names()?.into_iter().map(look).collect()
    }

    /// Removes leases that have ended, and files of commands that were killed, in all stores of this process's state
    /// directory.
    ///
    /// # Errors
    /// When the state directory cannot be used.
    pub fn tidy() -> Result<Tidied, Error> {
        let stores = Directory::state(&directory::place()?)?.directory("stores")?;
        let mut tidied = Tidied::default();
        for name in stores.names()? {
            let directory = stores.directory(&name)?;
            tidied.leases += Leases::of(&directory)?.tidy()?;
            tidied.scratch += scratch::tidy(&directory)?;
        }
        Ok(tidied)
    }

    /// Which store this is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Who holds the lock and who waits for it, the longest first.
    ///
    /// # Errors
    /// When the records cannot be listed.
    pub fn records(&self) -> Result<Vec<Record>, Error> {
        holders::read(&self.holders)
    }

    fn holders(&self) -> &Directory {
        &self.holders
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn lock_file(&self, name: &str) -> Result<File, Error> {
        self.directory.lock_file(name)
    }
}
