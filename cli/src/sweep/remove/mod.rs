//! Removes what was chosen, name by name, each looked at once more right before, by the open directory that it is in.
//!
//! Between that last look and the removal are some microseconds. Whoever puts another file in its place in just these loses the name of
//! that file; nothing outside of the directory can be met, since a name is removed from an open directory, and never followed.
//!
//! - [`check`] looks at an entry once more, and [`beside`] knows its lock files,
//! - [`whole`] removes units of several entries, and [`watch`] knows whether somebody came to need one since,
//! - [`emptied`] removes the directories that are empty then,
//! - [`ledger`] has all of it written down and told.

use std::collections::{HashMap, HashSet};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{self, AtFlags};
use rustix::io::Errno;

use super::busy::InUse;
use super::choose::{Cause, Plan, Reason, Rules, Verdict};
use super::clock::Clock;
use super::directories::Directories;
use super::error::Error;
use super::pace::Pace;
use super::place::Place;
use super::tool_lock::ToolLocks;
use super::trail::Trail;
use super::tree::{Id, Marks, Tree};
use super::unit::{Unit, Units};
use super::walk::Owners;

mod beside;
mod check;
mod emptied;
mod ledger;
mod watch;
mod whole;

use beside::Beside;
use check::Kept;
use ledger::Ledger;
use watch::Watch;

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
    /// After so many removals, or a second, it is looked again who has what open, and tools get their locks.
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

/// What was looked at, and how it is removed.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    /// The directory.
    pub place: &'a Place,
    /// What is in it.
    pub tree: &'a Tree,
    /// What goes together.
    pub units: &'a Units,
    /// By what it goes.
    pub rules: &'a Rules,
    /// When files were used.
    pub clock: &'a Clock,
    /// How.
    pub how: &'a How,
    /// When it was looked at, in nanoseconds since 1970.
    pub now: i64,
    /// How many threads remove, where each file is a unit and nobody is to be waited for.
    pub threads: usize,
}

/// A batch ends after so long, however few it removed: a tool waits no longer for its lock, and who has what open is not known from longer ago.
const LONGEST_BATCH: Duration = Duration::from_secs(1);

/// So many entries a thread takes at a time: few directories, so that no two threads are often in one.
const SHARE: u32 = 1024;

/// Removes all that goes, then the directories that are empty, and tells of each. The trail knows it before anybody else. Gives the
/// numbers of the files that were found in use, also where the end was not reached.
///
/// # Errors
/// When the trail cannot be written: then nothing more is removed.
pub fn remove(
    ground: Ground<'_>,
    plan: &Plan,
    tools: ToolLocks,
    trail: &Trail,
    tell: &mut (dyn FnMut(&Event) + Send),
) -> (HashSet<u64>, Result<(), Error>) {
    let ledger = Ledger::new(ground.tree, ground.units, trail, tell);
    let done = run(ground, plan, tools, &ledger);
    (ledger.into_seen_in_use(), done)
}

fn run(ground: Ground<'_>, plan: &Plan, tools: ToolLocks, ledger: &Ledger<'_>) -> Result<(), Error> {
    let Ground { place, units, how, threads, .. } = ground;
    let was_empty = (how.empty == Empty::Later).then(|| ledger.empty());
    let in_use = Arc::new(InUse::look(place.key().device));
    let is_plain = matches!(units, Units::Files { .. }) && tools.is_empty() && how.per_second.is_none();
    let others = if is_plain { threads.saturating_sub(1) } else { 0 };
    // The tools of caches with units have locks of their own.
    let beside = if let Units::Files { .. } = units { Beside::of(ground.tree) } else { Beside::default() };
    let mut remover = Remover::new(ground, &beside, ledger, in_use.clone(), tools);
    let next = AtomicU32::new(0);
    std::thread::scope(|scope| {
        let share =
            || Remover::new(ground, &beside, ledger, in_use.clone(), ToolLocks::default()).share(plan, &next);
        // Whoever gets no thread does with those there are.
        let spawn = |_| std::thread::Builder::new().spawn_scoped(scope, share).ok();
        let threads: Vec<_> = (0..others).map_while(spawn).collect();
        let done = remover.share(plan, &next);
        threads.into_iter().fold(done, |done, thread| match thread.join() {
            Ok(of_thread) => done.and(of_thread),
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    remover.those_with_others(plan)?;
    remover.tools.release();
    remover.emptied(was_empty.as_deref())
}

/// One thread that removes.
struct Remover<'a, 'l> {
    ground: Ground<'a>,
    beside: &'a Beside,
    ledger: &'a Ledger<'l>,
    directories: Directories<'a>,
    in_use: Arc<InUse>,
    tools: ToolLocks,
    pace: Pace,
    /// How many removals since the last look.
    in_batch: usize,
    /// When the first of them was about to begin: what a tool's lock was waited for does not count.
    begun: Instant,
    /// Of entries that several units need: how many of those are still there.
    needed: HashMap<Id, usize>,
    /// Of units of several entries: those whose turn it was.
    done: HashSet<Unit>,
    watch: Watch,
}

impl<'a, 'l> Remover<'a, 'l> {
    fn new(
        ground: Ground<'a>,
        beside: &'a Beside,
        ledger: &'a Ledger<'l>,
        in_use: Arc<InUse>,
        tools: ToolLocks,
    ) -> Self {
        Self {
            ground,
            beside,
            ledger,
            directories: Directories::new(ground.place, ground.tree, ground.threads),
            in_use,
            tools,
            pace: Pace::new(ground.how.per_second),
            in_batch: 0,
            begun: Instant::now(),
            needed: HashMap::new(),
            done: HashSet::new(),
            watch: Watch::default(),
        }
    }

    /// Removes what goes of one share of the entries after the other, until somebody has taken the last one.
    fn share(&mut self, plan: &Plan, next: &AtomicU32) -> Result<(), Error> {
        let all = u32::try_from(self.ground.tree.len()).unwrap_or(u32::MAX);
        loop {
            let first = next.fetch_add(SHARE, Ordering::Relaxed);
            // The counter runs on by a share a thread: only a tree of nearly all numbers would have it begin anew.
            if first >= all || self.ledger.is_ended() {
                return Ok(());
            }
            let share = (first..all.min(first.saturating_add(SHARE))).map(Id);
            for id in share {
                if !self.has_others(id) {
                    self.units_of(plan, id)?;
                }
            }
        }
    }

    /// Removes what goes of the files with several names, or with lock files: one thread does, since whoever removes one of the names has the
    /// file locked, and only the last one frees it.
    fn those_with_others(&mut self, plan: &Plan) -> Result<(), Error> {
        for id in self.ground.tree.ids() {
            if self.has_others(id) {
                self.units_of(plan, id)?;
            }
        }
        Ok(())
    }

    /// Whether it is a file by itself that has several names, or has or is a lock file.
    fn has_others(&self, id: Id) -> bool {
        matches!(self.ground.units, Units::Files { .. })
            && (self.ground.tree.entry(id).marks.has(Marks::LINKED) || self.beside.has(id))
    }

    fn units_of(&mut self, plan: &Plan, id: Id) -> Result<(), Error> {
        let Ground { tree, units, .. } = self.ground;
        for unit in units.of(tree, id) {
            let Verdict::Goes(cause) = plan.verdict(unit) else { continue };
            let is_plain = matches!(units, Units::Files { .. });
            if is_plain || self.done.insert(unit) {
                self.unit(unit, cause)?;
            }
        }
        Ok(())
    }

    fn unit(&mut self, unit: Unit, cause: Cause) -> Result<(), Error> {
        if self.in_batch >= self.ground.how.batch
            || (self.in_batch > 0 && self.begun.elapsed() >= LONGEST_BATCH)
        {
            self.begin_batch();
        }
        if !self.tools.take(self.ground.place) {
            self.ledger.stays(unit, Reason::ToolLocked);
            return Ok(());
        }
        if self.in_batch == 0 {
            self.begun = Instant::now();
        }
        match self.ground.units {
            Units::Files { .. } => self.entry(unit, cause, Id(unit.0)),
            Units::Grouped(_) => self.whole(unit, cause),
        }
    }

    fn begin_batch(&mut self) {
        self.in_batch = 0;
        self.tools.release();
        if self.in_use.is_stale() {
            self.in_use = Arc::new(InUse::look(self.ground.place.key().device));
        }
    }

    /// Removes an entry of a unit, which is no directory.
    fn entry(&mut self, unit: Unit, cause: Cause, id: Id) -> Result<(), Error> {
        match self.remove(id) {
            Ok(freed) => {
                self.in_batch += 1;
                self.ledger.removed(unit, id, freed, cause)
            }
            Err(Kept::Gone) => {
                self.ledger.gone(id);
                Ok(())
            }
            Err(Kept::Stays(reason)) => {
                self.ledger.stays(unit, reason);
                Ok(())
            }
            Err(Kept::Failed(errno)) => self.ledger.failed(id, errno),
        }
    }

    /// Removes one name, and says how many bytes that freed.
    fn remove(&mut self, id: Id) -> Result<u64, Kept> {
        // Before the last look, which is the last only if nobody waits behind it.
        self.pace.wait();
        let (parent, checked) = self.check(id)?;
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
}
