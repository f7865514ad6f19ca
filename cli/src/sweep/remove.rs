//! Removes what was chosen, name by name, each looked at once more right before, by the open directory that it is in.
//!
//! Between that last look and the removal are some microseconds. Whoever puts another file in its place in just these loses the name of
//! that file; nothing outside of the directory can be met, since a name is removed from an open directory, and never followed.

use std::collections::{HashMap, HashSet};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use jiff::Timestamp;
use rustix::fs::{self, AtFlags, Mode, RenameFlags, Statx};
use rustix::io::Errno;

use super::busy::{self, InUse};
use super::choose::{self, Cause, ON_ITS_WAY, Plan, Reason, Rules, Verdict};
use super::clock::{self, Clock};
use super::directories::Directories;
use super::error::Error;
use super::pace::Pace;
use super::place::{self, Key, Place};
use super::tool_lock::ToolLocks;
use super::trail::{Line, Shown, Trail};
use super::tree::{Entry, Id, Kind, Tree};
use super::unit::{Unit, Units};
use super::walk::Owners;

/// Which empty directories go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Empty {
    /// Those that are old, also if they are empty only now.
    #[default]
    Now,
    /// Those that are old and were empty already: a tool that makes directories long before it puts something there finds them.
    Later,
    /// None.
    Never,
}

/// How it is removed.
#[derive(Debug, Clone)]
pub struct How {
    /// Whose files may go.
    pub owners: Owners,
    /// After so many removals it is looked again who has what open, and tools get their locks.
    pub batch: usize,
    /// So many removals a second at most.
    pub per_second: Option<u32>,
    /// Which empty directories go.
    pub empty: Empty,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A file is gone.
    Removed {
        /// Which.
        id: Id,
        /// What that freed, in bytes.
        freed: u64,
        /// Why it went.
        cause: Cause,
    },
    /// An empty directory is gone.
    Directory(Id),
    /// A unit that was to go stays.
    Stays(Unit, Reason),
    /// Somebody else removed it.
    Gone(Id),
    /// It cannot be removed.
    Failed(Id, Errno),
}

/// Removes what was chosen of one directory.
pub struct Remover<'a> {
    place: &'a Place,
    tree: &'a Tree,
    units: &'a Units,
    rules: &'a Rules,
    clock: &'a Clock,
    how: &'a How,
    now: i64,
    directories: Directories<'a>,
    in_use: InUse,
    tools: ToolLocks,
    pace: Pace,
    /// How many removals since the last look.
    in_batch: usize,
    /// How many names are left in each directory.
    left: Vec<u32>,
    /// Of entries that several units need: how many of those are still there.
    needed: HashMap<Id, usize>,
    /// What was found in use, for the record of our own.
    pub seen_in_use: HashSet<u64>,
}

/// Why one entry is not removed now.
enum Kept {
    Stays(Reason),
    Gone,
    Failed(Errno),
}

impl From<Reason> for Kept {
    fn from(reason: Reason) -> Self {
        Self::Stays(reason)
    }
}

/// An entry that may go: how it is now, and its lock, as long as it is open.
struct Checked {
    stat: Statx,
    _locked: Option<OwnedFd>,
}

impl<'a> Remover<'a> {
    /// What removes from this directory. `now` is in nanoseconds since 1970.
    pub fn new(
        place: &'a Place,
        (tree, units): (&'a Tree, &'a Units),
        rules: &'a Rules,
        clock: &'a Clock,
        how: &'a How,
        tools: ToolLocks,
        now: i64,
    ) -> Self {
        Self {
            place,
            tree,
            units,
            rules,
            clock,
            how,
            now,
            directories: Directories::new(place, tree),
            in_use: InUse::look(place.key().device),
            tools,
            pace: Pace::new(how.per_second),
            in_batch: 0,
            left: tree.children(),
            needed: HashMap::new(),
            seen_in_use: HashSet::new(),
        }
    }

    /// Removes all that goes, then the directories that are empty, and tells of each. The trail knows it before anybody else.
    ///
    /// # Errors
    /// When the trail cannot be written: then nothing more is removed.
    pub fn run(&mut self, plan: &Plan, trail: &mut Trail, tell: &mut dyn FnMut(&Event)) -> Result<(), Error> {
        let was_empty: Vec<bool> = if self.how.empty == Empty::Later {
            self.left.iter().map(|&left| left == 0).collect()
        } else {
            Vec::new()
        };
        let (tree, units) = (self.tree, self.units);
        let mut done = HashSet::new();
        for id in tree.ids() {
            for unit in units.of(tree, id) {
                let Verdict::Goes(cause) = plan.verdict(unit) else { continue };
                if matches!(units, Units::Grouped(_)) && !done.insert(unit) {
                    continue;
                }
                self.unit(unit, cause, trail, tell)?;
            }
        }
        self.tools.release();
        if self.how.empty != Empty::Never {
            for id in tree.below().rev() {
                let is_empty = tree.entry(id).is_directory() && self.left[id.index()] == 0;
                let may_go = was_empty.get(id.index()).copied().unwrap_or(true);
                if is_empty && may_go && choose::is_old_directory(tree, self.rules, self.now, id) {
                    self.directory(id, trail, tell)?;
                }
            }
        }
        Ok(())
    }

    /// Removes a unit as a whole, or leaves it as a whole.
    fn unit(
        &mut self,
        unit: Unit,
        cause: Cause,
        trail: &mut Trail,
        tell: &mut dyn FnMut(&Event),
    ) -> Result<(), Error> {
        if self.in_batch >= self.how.batch {
            self.begin_batch();
        }
        if !self.tools.take(self.place) {
            tell(&Event::Stays(unit, Reason::ToolLocked));
            return Ok(());
        }
        let units = self.units;
        let parts = units.parts(unit);
        let mut locks = Vec::new();
        for &lock in parts.map_or(&[][..], |parts| &parts.locks) {
            match self.tool_lock(lock) {
                Ok(file) => locks.extend(file),
                Err(reason) => {
                    self.seen(unit, reason, tell);
                    return Ok(());
                }
            }
        }
        let entries: Vec<Id> = match parts {
            None => units.entries(unit).collect(),
            Some(_) => units.entries(unit).filter(|&id| !self.is_needed_by_others(id)).collect(),
        };
        if parts.is_some() {
            // All of it is looked at before any of it goes.
            for &id in &entries {
                match self.check(id) {
                    Ok(_) | Err(Kept::Gone) => {}
                    Err(Kept::Stays(reason)) => {
                        self.seen(unit, reason, tell);
                        return Ok(());
                    }
                    Err(Kept::Failed(errno)) => return self.failed(id, errno, trail, tell),
                }
            }
            let mut aside = Vec::new();
            for &whole in parts.map_or(&[][..], |parts| &parts.whole) {
                match self.put_aside(whole) {
                    Ok(()) => aside.push(whole),
                    Err(Errno::NOENT) => {}
                    Err(errno) => {
                        aside.into_iter().for_each(|id| self.put_back(id));
                        return self.failed(whole, errno, trail, tell);
                    }
                }
            }
            for id in units.entries(unit) {
                if let Some(needed) = self.needed.get_mut(&id) {
                    *needed -= 1;
                }
            }
        }
        for id in entries {
            if self.tree.entry(id).is_directory() {
                self.directory(id, trail, tell)?;
                continue;
            }
            match self.remove(id) {
                Ok(freed) => {
                    self.in_batch += 1;
                    self.left[self.tree.entry(id).parent().index()] -= 1;
                    let path = self.tree.path(id);
                    let head = units.head(unit);
                    let head = (head != id).then(|| self.tree.path(head));
                    let used =
                        Timestamp::from_nanosecond(self.tree.entry(id).used.into()).unwrap_or_default();
                    trail.add(&Line::Removed {
                        path: Shown(&path),
                        freed,
                        cause: cause.word(),
                        used,
                        unit: head.as_deref().map(Shown),
                    })?;
                    tell(&Event::Removed { id, freed, cause });
                }
                Err(Kept::Gone) => {
                    self.left[self.tree.entry(id).parent().index()] -= 1;
                    tell(&Event::Gone(id));
                }
                Err(Kept::Stays(reason)) => self.seen(unit, reason, tell),
                Err(Kept::Failed(errno)) => self.failed(id, errno, trail, tell)?,
            }
        }
        Ok(())
    }

    fn begin_batch(&mut self) {
        self.in_batch = 0;
        self.tools.release();
        if self.in_use.is_stale() {
            self.in_use = InUse::look(self.place.key().device);
        }
    }

    /// Whether units that stay need it. It is told on the way which of them went.
    fn is_needed_by_others(&mut self, id: Id) -> bool {
        let owners = self.units.of(self.tree, id).count();
        owners > 1 && *self.needed.entry(id).or_insert(owners) > 1
    }

    fn seen(&mut self, unit: Unit, reason: Reason, tell: &mut dyn FnMut(&Event)) {
        // A tool's lock is about all of its cache, and says nothing of this.
        if matches!(reason, Reason::Open | Reason::Locked) {
            self.seen_in_use.extend(self.units.entries(unit).map(|id| self.tree.entry(id).inode));
        }
        tell(&Event::Stays(unit, reason));
    }

    fn failed(
        &mut self,
        id: Id,
        errno: Errno,
        trail: &mut Trail,
        tell: &mut dyn FnMut(&Event),
    ) -> Result<(), Error> {
        let path = self.tree.path(id);
        let error = std::io::Error::from(errno).to_string();
        trail.add(&Line::Failed { path: Shown(&path), error })?;
        tell(&Event::Failed(id, errno));
        Ok(())
    }

    /// The lock file of a tool, locked; none where it is gone.
    fn tool_lock(&mut self, id: Id) -> Result<Option<OwnedFd>, Reason> {
        let Ok(parent) = self.directories.open(self.tree.entry(id).parent()) else { return Ok(None) };
        match self.place.file(parent.as_fd(), self.tree.name(id)) {
            Ok(file) => match busy::lock(&file) {
                Ok(()) => Ok(Some(file)),
                Err(_) => Err(Reason::ToolLocked),
            },
            Err(Errno::NOENT) => Ok(None),
            Err(_) => Err(Reason::ToolLocked),
        }
    }

    fn open_parent(&mut self, entry: &Entry) -> Result<Rc<OwnedFd>, Kept> {
        self.directories.open(entry.parent()).map_err(|errno| match errno {
            Errno::NOENT => Kept::Gone,
            // It is another thing by now.
            Errno::LOOP | Errno::NOTDIR | Errno::XDEV => Kept::Stays(Reason::Touched),
            errno => Kept::Failed(errno),
        })
    }

    /// Looks at an entry once more.
    fn check(&mut self, id: Id) -> Result<(Rc<OwnedFd>, Checked), Kept> {
        let entry = self.tree.entry(id);
        let parent = self.open_parent(entry)?;
        let checked = self.look(id, parent.as_fd(), self.directories.name(id))?;
        Ok((parent, checked))
    }

    fn look(&self, id: Id, parent: BorrowedFd<'_>, name: &CStr) -> Result<Checked, Kept> {
        let entry = self.tree.entry(id);
        let of_open = |errno| match errno {
            Errno::NOENT => Kept::Gone,
            Errno::LOOP | Errno::NXIO | Errno::NOTDIR => Reason::Touched.into(),
            // A lease is taken from whoever has it only after a while.
            Errno::WOULDBLOCK => Reason::Locked.into(),
            Errno::ACCESS => Reason::Unread.into(),
            errno => Kept::Failed(errno),
        };
        let (stat, file) = match entry.kind {
            Kind::File => {
                let file = self.place.file(parent, name).map_err(of_open)?;
                (place::look(&file).map_err(Kept::Failed)?, Some(file))
            }
            _ => (place::look_at(parent, name).map_err(of_open)?, None),
        };
        let kind = Kind::from(fs::FileType::from_raw_mode(stat.stx_mode.into()));
        let is_changed = || {
            clock::nanoseconds(&stat.stx_mtime) != entry.modified
                || (!entry.is_directory()
                    && (stat.stx_size != entry.size || self.clock.used(&stat) > entry.used))
        };
        let is_other = Key::of(&stat) != Key { device: self.place.key().device, inode: entry.inode };
        let reason = match () {
            () if place::is_mount(&stat) => Some(Reason::Mounted),
            () if is_other || kind != entry.kind || is_changed() => Some(Reason::Touched),
            () if !self.how.owners.has(stat.stx_uid) => Some(Reason::Foreign),
            () if self.in_use.has(stat.stx_ino) => Some(Reason::Open),
            () if file.as_ref().is_some_and(|file| busy::lock(file).is_err()) => Some(Reason::Locked),
            () => None,
        };
        match reason {
            Some(reason) => Err(reason.into()),
            None => Ok(Checked { stat, _locked: file }),
        }
    }

    /// Removes one name, and says how many bytes that freed.
    fn remove(&mut self, id: Id) -> Result<u64, Kept> {
        let (parent, checked) = self.check(id)?;
        self.pace.wait();
        match fs::unlinkat(parent.as_fd(), self.directories.name(id), AtFlags::empty()) {
            Ok(()) if checked.stat.stx_nlink > 1 => Ok(0),
            Ok(()) => Ok(checked.stat.stx_blocks * 512),
            Err(Errno::NOENT) => Err(Kept::Gone),
            Err(Errno::BUSY) => Err(Reason::Mounted.into()),
            // Another thing stands there since the look.
            Err(Errno::ISDIR) => Err(Reason::Touched.into()),
            Err(errno) => Err(Kept::Failed(errno)),
        }
    }

    /// Gives a directory that goes whole another name, and its owner the right to remove what is in it.
    fn put_aside(&mut self, id: Id) -> Result<(), Errno> {
        let parent = self.directories.open(self.tree.entry(id).parent())?;
        // So that it is known by its number, whatever stands there by now.
        let fd = self.directories.open(id)?;
        let name = self.tree.name(id).to_bytes();
        if name.starts_with(ON_ITS_WAY.as_bytes()) {
            return Ok(());
        }
        let aside = format!("{ON_ITS_WAY}{}-{}", std::process::id(), id.index());
        // What was made here of ASCII has no zero in it.
        let aside = CString::new(aside).map_err(|_| Errno::INVAL)?;
        let rename = |from: &CStr, to: &CStr| {
            fs::renameat_with(parent.as_fd(), from, parent.as_fd(), to, RenameFlags::NOREPLACE)
        };
        let mode = place::look(&fd)?.stx_mode;
        rename(self.tree.name(id), &aside)?;
        // Somebody may have put another one there since it was opened: that one gets its name again.
        let wrong = match place::look_at(parent.as_fd(), &aside) {
            Ok(found) => (found.stx_ino != self.tree.entry(id).inode).then_some(Errno::NOENT),
            Err(errno) => Some(errno),
        };
        if let Some(errno) = wrong {
            return rename(&aside, self.tree.name(id)).and(Err(errno));
        }
        self.directories.rename(id, aside);
        if mode & 0o700 != 0o700 {
            let _ = fs::fchmod(&fd, Mode::from_raw_mode((mode & 0o7777) as u32 | 0o700));
        }
        Ok(())
    }

    /// Gives a directory that was put aside its name again, since its unit stays. One that cannot have it goes with the next sweep.
    fn put_back(&mut self, id: Id) {
        let Ok(parent) = self.directories.open(self.tree.entry(id).parent()) else { return };
        let (aside, name) = (self.directories.name(id), self.tree.name(id));
        let renamed = fs::renameat_with(parent.as_fd(), aside, parent.as_fd(), name, RenameFlags::NOREPLACE);
        if renamed.is_ok() {
            self.directories.rename(id, name.to_owned());
        }
    }

    /// Removes a directory if it is empty, and nobody works in it.
    fn directory(&mut self, id: Id, trail: &mut Trail, tell: &mut dyn FnMut(&Event)) -> Result<(), Error> {
        let entry = self.tree.entry(id);
        let Ok(parent) = self.directories.open(entry.parent()) else { return Ok(()) };
        let name = self.directories.name(id).to_owned();
        let Ok(stat) = place::look_at(parent.as_fd(), &name) else { return Ok(()) };
        let is_other = stat.stx_ino != entry.inode || place::is_mount(&stat);
        if is_other || self.in_use.has(stat.stx_ino) || !self.how.owners.has(stat.stx_uid) {
            return Ok(());
        }
        self.pace.wait();
        self.directories.close(id);
        match fs::unlinkat(parent.as_fd(), &name, AtFlags::REMOVEDIR) {
            Ok(()) => {
                self.in_batch += 1;
                self.left[entry.parent().index()] -= 1;
                let path = self.tree.path(id);
                trail.add(&Line::Directory { path: Shown(&path) })?;
                tell(&Event::Directory(id));
                Ok(())
            }
            // Somebody put something there, or works there, or removed it.
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOENT | Errno::NOTDIR | Errno::BUSY) => Ok(()),
            Err(errno) => self.failed(id, errno, trail, tell),
        }
    }
}
