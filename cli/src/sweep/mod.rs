//! Keeps caches small: what was not used for long goes, and nothing that somebody needs (docs/sweep.md).
//!
//! [`place`] opens a directory and refuses what is none of a cache's, [`walk`] looks, [`layout`] says what goes together, [`choose`]
//! decides, purely, [`remove`] removes one name after the other and looks at each once more right before, [`trail`] writes down what
//! went, [`report`] tells.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use crate::store::Sweeping;

pub mod busy;
pub mod cache_mount;
pub mod choose;
pub mod clock;
mod directories;
mod error;
pub mod install;
pub mod layout;
pub mod pace;
pub mod pattern;
pub mod place;
pub mod presets;
mod refuse;
pub mod remove;
pub mod report;
mod tool_lock;
pub mod trail;
pub mod tree;
mod trusted;
pub mod unit;
pub mod walk;

pub use choose::{Cause, Plan, Reason, Rules, Verdict};
pub use clock::{AtimeMode, By, Clock};
pub use error::{Error, Refusal};
pub use layout::Layout;
pub use pattern::Pattern;
pub use place::{Key, Place};
pub use refuse::Allowed;
pub use remove::{Empty, Event, How};
pub use report::Report;
pub use tool_lock::ToolLocks;
pub use tree::{Id, Tree};
pub use unit::{Unit, Units};
pub use walk::Owners;

/// One directory and how it is swept.
#[derive(Debug, Clone)]
pub struct Job {
    /// Which directory.
    pub path: PathBuf,
    /// What goes together there.
    pub layout: Layout,
    /// What goes.
    pub rules: Rules,
    /// By what age is told.
    pub by: By,
    /// How it is removed.
    pub how: How,
    /// What was said to be swept although it usually is not.
    pub allowed: Allowed,
    /// Lock files of the tool, from the directory.
    pub locks: Vec<PathBuf>,
    /// How long it is waited for those.
    pub wait: Duration,
    /// How many threads look and remove.
    pub threads: usize,
    /// The state directory, which is not swept.
    pub state: PathBuf,
    /// Where what was removed is written down. None: in the state directory.
    pub trail: Option<PathBuf>,
}

/// A directory as it was looked at, with what is to become of everything.
#[derive(Debug)]
pub struct Looked {
    /// The directory.
    pub place: Place,
    /// All that is in it.
    pub scan: walk::Scan,
    /// What goes together.
    pub units: Units,
    /// What goes.
    pub plan: Plan,
    /// When files were used.
    pub clock: Clock,
    /// When it was looked at, in nanoseconds since 1970.
    pub now: i64,
}

impl Job {
    /// Opens the directory.
    ///
    /// # Errors
    /// When it is not to be swept.
    pub fn open(&self) -> Result<Place, Error> {
        let place = Place::open(&self.path, self.allowed)?;
        let is_of_state = self.state.canonicalize().is_ok_and(|state| place.path().starts_with(state));
        if is_of_state || Key::at(&self.state) == Some(place.key()) {
            return Err(Error::Refused { path: place.path().into(), refusal: Refusal::State });
        }
        Ok(place)
    }

    /// Looks at everything and decides. Changes nothing.
    ///
    /// # Errors
    /// When the directory cannot be read, or age cannot be told as was asked.
    pub fn look(&self, place: Place) -> Result<Looked, Error> {
        let mode = AtimeMode::of(&place).map_err(|source| Error::open(place.path(), source))?;
        if (self.by, mode) == (By::Atime, AtimeMode::Never) {
            return Err(Error::NoAtime(place.path().into()));
        }
        let uses = Sweeping::uses(&self.state, &place.key().device_name())?;
        let clock = Clock::new(self.by, mode, self.rules.older_than, uses);
        // What is used from now on is younger than what is asked for, however long the look takes.
        let now = nanoseconds(Timestamp::now());
        let ours: HashSet<Key> = Key::at(&self.state).into_iter().collect();
        let look = walk::Look { clock: &clock, owners: &self.how.owners, ours: &ours, threads: self.threads };
        let scan = walk::walk(&place, &look)?;
        let units = self.layout.units(&place, &scan.tree);
        let plan = choose::choose(&scan.tree, &units, &self.rules, now);
        Ok(Looked { place, scan, units, plan, clock, now })
    }

    /// Sweeps the directory: looks, decides, removes, and tells of each. None where another sweep is at work
    /// there, or somebody else has the directory locked.
    ///
    /// # Errors
    /// When it cannot be looked at, or what goes cannot be written down. What was told of is as it was told.
    pub fn sweep(
        &self,
        place: Place,
        mut tell: impl FnMut(&Looked, &Event) + Send,
    ) -> Result<Option<Looked>, Error> {
        let state = Sweeping::open(&self.state)?;
        if !place.lock() {
            return Ok(None);
        }
        let trail = self.trail(&state, place.path())?;
        let looked = self.look(place)?;
        let ground = remove::Ground {
            place: &looked.place,
            tree: &looked.scan.tree,
            units: &looked.units,
            rules: &self.rules,
            clock: &looked.clock,
            how: &self.how,
            now: looked.now,
            threads: self.threads,
        };
        let tools = ToolLocks::new(self.locks.clone(), self.wait);
        let mut sum = report::Sum::default();
        let (seen, done) = remove::remove(ground, &looked.plan, tools, &trail, &mut |event| {
            sum.add(event);
            tell(&looked, event);
        });
        remember(&self.state, &looked, seen)?;
        done?;
        trail.add(&trail::Line::End {
            files: sum.files,
            freed: sum.freed,
            directories: sum.directories,
            failed: sum.failed,
        })?;
        Ok(Some(looked))
    }

    fn trail(&self, state: &Sweeping, directory: &Path) -> Result<trail::Trail, Error> {
        let (file, path) = match &self.trail {
            None => state.trail()?,
            Some(path) => {
                let file = std::fs::File::options().read(true).append(true).create(true).open(path);
                (file.map_err(|source| Error::Trail { path: path.clone(), source })?, path.clone())
            }
        };
        let sweep = format!("{}-{}", Timestamp::now().as_microsecond(), std::process::id());
        trail::Trail::new(file, &path, sweep, directory, &self.rules.to_string())
    }
}

/// What is in use now was used now.
fn remember(state: &Path, looked: &Looked, seen: HashSet<u64>) -> Result<(), Error> {
    if seen.is_empty() {
        return Ok(());
    }
    let uses = seen.into_iter().map(|inode| (inode, looked.now)).collect();
    Sweeping::add_uses(state, &looked.place.key().device_name(), uses)?;
    Ok(())
}

/// Files that were said to be in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Touched {
    /// How many there are.
    pub files: usize,
    /// Of how many of them that is kept.
    pub kept: usize,
}

/// Writes down that a file, or all in a directory, is used now, for mounts that do not keep it.
///
/// # Errors
/// When it cannot be looked at, or the state cannot be written.
pub fn touch(state: &Path, path: &Path, threads: usize) -> Result<Touched, Error> {
    let now = nanoseconds(Timestamp::now());
    let stat = rustix::fs::statx(rustix::fs::CWD, path, rustix::fs::AtFlags::SYMLINK_NOFOLLOW, place::ASKED);
    let stat = stat.map_err(|source| Error::open(path, source))?;
    let is_directory = rustix::fs::FileType::from_raw_mode(stat.stx_mode.into()).is_dir();
    let inodes: HashMap<u64, i64> = if is_directory {
        let place = Place::open(path, Allowed { whole_file_system: true, home: true })?;
        let clock = Clock::new(By::Mtime, AtimeMode::Never, None, HashMap::new());
        let look = walk::Look { clock: &clock, owners: &Owners::Any, ours: &HashSet::new(), threads };
        let tree = walk::walk(&place, &look)?.tree;
        let files = tree.ids().map(|id| tree.entry(id)).filter(|entry| !entry.is_directory());
        files.map(|entry| (entry.inode, now)).collect()
    } else {
        HashMap::from([(stat.stx_ino, now)])
    };
    let files = inodes.len();
    let kept = Sweeping::add_uses(state, &Key::of(&stat).device_name(), inodes)?;
    Ok(Touched { files, kept })
}

fn nanoseconds(at: Timestamp) -> i64 {
    i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX)
}
