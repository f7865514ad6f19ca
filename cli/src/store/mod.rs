//! One store of images and caches, which many jobs use: its lock, who has it, and which images are still needed.

use std::fs::File;
use std::path::{Path, PathBuf};

mod census;
mod directory;
mod error;
mod file_system;
mod flock;
mod holders;
mod identity;
pub mod job;
mod last_prune;
mod last_use;
mod lease;
mod lock;
mod memory;
mod owner;
mod place;
mod records;
mod scratch;
mod spool;
mod stamp;
mod sweeping;
mod turn;
mod wait;

use directory::Directory;
pub(crate) use directory::is_unpredictable;

pub use census::census;
pub use error::Error;
pub use flock::Locked;
pub use holders::{Mode, Record, Role};
pub use identity::{Identity, NameError};
pub use last_prune::LastPrune;
pub use last_use::LastUses;
pub use lease::{HeldLease, Lease, Leases, Quiet, Removed, Term, Whose};
pub use lock::{ExclusiveGuard, Guard, Notice, SharedGuard};
pub use memory::Memory;
pub(crate) use owner::UNSEEN;
pub use owner::{Liveness, Process};
pub(crate) use records::{Alone, Found, Held, Records};
pub use scratch::Scratch;
pub use spool::Spool;
pub use sweeping::Sweeping;
pub use turn::Turn;
pub use wait::Patience;

/// The state that all users of a store on this host share.
#[derive(Debug)]
pub struct Store {
    identity: Identity,
    directory: Directory,
    holders: Directory,
}

/// The directory of all state, as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Where it is, or would be made.
    pub path: PathBuf,
    /// Its permission bits; none where it is not there yet.
    pub mode: Option<u32>,
    /// What its file system is called; none where that is not known.
    pub file_system: Option<&'static str>,
}

impl State {
    /// Where the state of this process lies, or would be made. Makes nothing.
    ///
    /// # Errors
    /// When it is not known whose home it would be in.
    pub(crate) fn place() -> Result<PathBuf, Error> {
        place::place()
    }

    /// The state directory of this process. Makes nothing.
    ///
    /// # Errors
    /// When it is there and cannot be used.
    pub fn of_this_process() -> Result<Self, Error> {
        let path = place::place()?;
        let looked = Directory::state_if_there(&path)?.map(|state| state.look()).transpose()?;
        let (mode, number) = looked.unzip();
        Ok(Self { path, mode, file_system: number.and_then(file_system::name) })
    }
}

/// What goes on in one store.
#[derive(Debug)]
pub struct Overview {
    /// The name of the store's directory, such as `name.nightly`.
    pub directory: String,
    /// Who holds the lock and who waits for it, the longest first.
    pub records: Vec<Record>,
    /// Which images are needed, the oldest lease first.
    pub leases: Vec<Lease>,
    /// What the last prune did.
    pub last_prune: Option<LastPrune>,
}

impl Overview {
    /// What the store is called: as its users call it, else its directory.
    pub fn name(&self) -> &str {
        let of_record = self.records.first().map(|record| &record.store);
        of_record.or(self.leases.first().map(|lease| &lease.store)).unwrap_or(&self.directory)
    }
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
        Self::open_in(&place::place()?, identity)
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

    /// What goes on in all stores of this process's state directory, in the order of their directories. Makes nothing.
    ///
    /// # Errors
    /// When the state directory is there and cannot be used.
    pub fn all() -> Result<Vec<Overview>, Error> {
        let state = Directory::state_if_there(&place::place()?)?;
        let Some(stores) = state.map(|state| state.directory_if_there("stores")).transpose()?.flatten()
        else {
            return Ok(Vec::new());
        };
        let look = |name: String| -> Result<Option<Overview>, Error> {
            let Some(store) = stores.directory_if_there(&name)? else { return Ok(None) };
            let holders = store.directory_if_there("holders")?;
            let leases = store.directory_if_there("leases")?;
            Ok(Some(Overview {
                directory: name,
                records: holders.as_ref().map_or(Ok(Vec::new()), holders::read)?,
                leases: leases.map_or(Ok(Vec::new()), |leases| Leases::in_directory(leases).list())?,
                last_prune: last_prune::read(&store),
            }))
        };
        stores.names()?.into_iter().filter_map(|name| look(name).transpose()).collect()
    }

    /// Removes leases that have ended, and files of commands that were killed, in all stores of this process's state
    /// directory.
    ///
    /// # Errors
    /// When the state directory cannot be used.
    pub fn tidy() -> Result<Tidied, Error> {
        let stores = Directory::state(&place::place()?)?.directory("stores")?;
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
