//! What goes and what stays, and why: a pure function of what there is.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::Duration;

use super::pattern::Pattern;
use super::tree::{Entry, Id, Kind, Marks, Tree};
use super::unit::{Unit, Units};
use crate::store::shown;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// What was not used for this long goes.
    pub older_than: Option<Duration>,
    /// The least recently used goes until all together take no more bytes on the disk.
    pub max_size: Option<u64>,
    /// The least recently used goes until there are no more files.
    pub max_files: Option<u64>,
    /// What was used within this time stays in any case.
    pub grace: Duration,
    /// Only such files go. Empty: any.
    pub include: Vec<Pattern>,
    /// Such files stay, and count for nothing.
    pub exclude: Vec<Pattern>,
    /// Such files stay, and count.
    pub keep: Vec<Pattern>,
}

/// What is to become of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is to be removed.
    Goes(Cause),
    /// It is not.
    Stays(Reason),
}

/// Why a unit goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// It was not used for too long.
    Old,
    /// All together take more than they may.
    Size,
    /// There are more files than there may be.
    Files,
    /// It was on its way out when a sweep ended.
    Left,
}

/// Why a unit stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// It was used within the time that is asked for.
    Young,
    /// It was used within the grace.
    Grace,
    /// A pattern excludes it.
    Excluded,
    /// A pattern keeps it.
    Kept,
    /// No pattern includes it.
    Outside,
    /// It is another user's.
    Foreign,
    /// It is, or has in it, a socket, a pipe or a device.
    Special,
    /// Something is mounted there.
    Mounted,
    /// It could not be looked at to its end.
    Unread,
    /// It was used, or changed, since it was looked at.
    Touched,
    /// Somebody has it open.
    Open,
    /// Somebody has it locked.
    Locked,
    /// The tool that it belongs to has its lock.
    ToolLocked,
}

/// What is to become of everything.
#[derive(Debug)]
pub struct Plan {
    verdicts: Vec<Verdict>,
    /// What all together took on the disk, a file with several names once, in bytes.
    pub bytes: u64,
    /// How many files there were.
    pub files: u64,
}

impl Plan {
    /// What is to become of a unit.
    pub fn verdict(&self, unit: Unit) -> Verdict {
        self.verdicts[unit.index()]
    }
}

/// Decides about every unit. `now` is in nanoseconds since 1970. Complexity: n log n with a limit, else n.
pub fn choose(tree: &Tree, units: &Units, rules: &Rules, now: i64) -> Plan {
    let used = used(tree, units);
    let paths = Paths::new(tree, rules);
    let mut verdicts: Vec<Verdict> = Vec::with_capacity(units.len());
    for number in 0..u32::try_from(units.len()).unwrap_or(u32::MAX) {
        let unit = Unit(number);
        verdicts.push(match fixed(tree, units, &paths, unit) {
            Some(reason) => Verdict::Stays(reason),
            None => by_age(rules, age(now, used.of(tree, unit)), is_left(tree, units, unit)),
        });
    }
    let mut room = Room::new(tree, units, &paths);
    let (bytes, files) = (room.bytes, room.files);
    if rules.max_size.is_some() || rules.max_files.is_some() {
        let goes = |verdict: &Verdict| matches!(verdict, Verdict::Goes(_));
        for unit in units.all(tree).filter(|unit| goes(&verdicts[unit.index()])) {
            room.take(tree, units, unit);
        }
        let is_above = |room: &Room| {
            rules.max_size.is_some_and(|most| room.bytes > most)
                || rules.max_files.is_some_and(|most| room.files > most)
        };
        // Where they hold already, nobody needs the order.
        let mut rest: Vec<Unit> = units
            .all(tree)
            .filter(|unit| verdicts[unit.index()] == Verdict::Stays(Reason::Young))
            .filter(|&unit| is_above(&room) && age(now, used.of(tree, unit)) >= rules.grace)
            .collect();
        rest.sort_unstable_by_key(|&unit| (used.of(tree, unit), unit));
        for unit in rest {
            let cause = match () {
                () if rules.max_size.is_some_and(|most| room.bytes > most) => Cause::Size,
                () if rules.max_files.is_some_and(|most| room.files > most) => Cause::Files,
                () => break,
            };
            room.take(tree, units, unit);
            verdicts[unit.index()] = Verdict::Goes(cause);
        }
    }
    Plan { verdicts, bytes, files }
}

fn age(now: i64, used: i64) -> Duration {
    Duration::from_nanos(u64::try_from(now.saturating_sub(used)).unwrap_or(0))
}

fn by_age(rules: &Rules, age: Duration, is_left: bool) -> Verdict {
    match rules.older_than {
        _ if is_left => Verdict::Goes(Cause::Left),
        _ if age < rules.grace => Verdict::Stays(Reason::Grace),
        Some(time) if age >= time => Verdict::Goes(Cause::Old),
        _ => Verdict::Stays(Reason::Young),
    }
}

/// The beginning of the names that [`super::remove`] gives to what is on its way out.
pub(super) const ON_ITS_WAY: &str = ".ci-build-swept-";

/// Whether an earlier sweep had begun to remove it.
fn is_left(tree: &Tree, units: &Units, unit: Unit) -> bool {
    let mut up = std::iter::successors(Some(units.head(unit)), |&id| {
        (id != Id::ROOT).then(|| tree.entry(id).parent())
    });
    matches!(units, Units::Grouped(_))
        && up.any(|id| tree.name(id).to_bytes().starts_with(ON_ITS_WAY.as_bytes()))
}

/// Why a unit stays however old it is.
fn fixed(tree: &Tree, units: &Units, paths: &Paths<'_>, unit: Unit) -> Option<Reason> {
    let mut is_included = paths.rules.include.is_empty();
    for id in units.entries(unit) {
        let entry = tree.entry(id);
        if let Some(reason) = of_entry(entry) {
            return Some(reason);
        }
        if paths.excludes(id) {
            return Some(Reason::Excluded);
        }
        if paths.keeps(id) {
            return Some(Reason::Kept);
        }
        is_included |= paths.includes(id);
    }
    (!is_included).then_some(Reason::Outside)
}

fn of_entry(entry: &Entry) -> Option<Reason> {
    match entry {
        _ if entry.marks.has(Marks::MOUNT) => Some(Reason::Mounted),
        _ if entry.marks.has(Marks::UNREAD.and(Marks::OURS)) => Some(Reason::Unread),
        _ if entry.marks.has(Marks::FOREIGN) => Some(Reason::Foreign),
        _ if entry.kind == Kind::Other => Some(Reason::Special),
        _ => None,
    }
}

/// What the patterns say of entries. Without patterns no path is made.
struct Paths<'a> {
    tree: &'a Tree,
    rules: &'a Rules,
}

impl<'a> Paths<'a> {
    fn new(tree: &'a Tree, rules: &'a Rules) -> Self {
        Self { tree, rules }
    }

    fn any(&self, patterns: &[Pattern], id: Id) -> bool {
        if patterns.is_empty() {
            return false;
        }
        let path = self.tree.path(id);
        patterns.iter().any(|pattern| pattern.has(&path))
    }

    fn excludes(&self, id: Id) -> bool {
        self.any(&self.rules.exclude, id)
    }

    fn keeps(&self, id: Id) -> bool {
        self.any(&self.rules.keep, id)
    }

    fn includes(&self, id: Id) -> bool {
        self.any(&self.rules.include, id)
    }
}

/// When units were used last.
enum Used {
    /// As their only entry.
    Files,
    Grouped(Vec<i64>),
}

impl Used {
    fn of(&self, tree: &Tree, unit: Unit) -> i64 {
        match self {
            Self::Files => tree.entry(Id(unit.0)).used,
            Self::Grouped(used) => used[unit.index()],
        }
    }
}

/// A unit was used when its newest part was, of those that it alone has. A part that others need too was used by those that were used
/// no earlier; if none was, it is not known by whom, and counts for all.
fn used(tree: &Tree, units: &Units) -> Used {
    let Units::Grouped(_) = units else { return Used::Files };
    let mut shared: HashMap<Id, Vec<Unit>> = HashMap::new();
    let mut used: Vec<i64> = vec![i64::MIN; units.len()];
    for unit in units.all(tree) {
        for id in units.entries(unit) {
            let entry = tree.entry(id);
            // A directory is changed by what goes in it, and read by whoever looks.
            if entry.is_directory() {
                continue;
            }
            let owners: Vec<Unit> = units.of(tree, id).collect();
            if owners.len() > 1 {
                shared.entry(id).or_insert(owners);
            } else {
                used[unit.index()] = used[unit.index()].max(entry.used);
            }
        }
    }
    for (id, owners) in &shared {
        let of_part = tree.entry(*id).used;
        if owners.iter().all(|owner| used[owner.index()] < of_part) {
            owners.iter().for_each(|owner| used[owner.index()] = of_part);
        }
    }
    // Nothing but directories: as old as the newest of them.
    for unit in units.all(tree).filter(|unit| used[unit.index()] == i64::MIN).collect::<Vec<_>>() {
        let newest = units.entries(unit).map(|id| tree.entry(id).modified).max();
        used[unit.index()] = newest.unwrap_or(i64::MAX);
    }
    Used::Grouped(used)
}

/// What is left of the sizes while units go.
struct Room {
    bytes: u64,
    files: u64,
    /// Of files with several names: how many of those are still there.
    names: HashMap<u64, u32>,
    /// Of entries that several units need: how many of those are still there.
    owners: HashMap<Id, usize>,
}

impl Room {
    fn new(tree: &Tree, units: &Units, paths: &Paths<'_>) -> Self {
        let names = tree.all_linked().iter().map(|(&inode, linked)| (inode, linked.inside)).collect();
        let mut room = Self { bytes: 0, files: 0, names, owners: HashMap::new() };
        let mut counted = HashSet::new();
        for id in tree.ids() {
            let entry = tree.entry(id);
            if entry.is_directory() || entry.marks.has(Marks::MOUNT) || paths.excludes(id) {
                continue;
            }
            room.files += 1;
            if !entry.marks.has(Marks::LINKED) || counted.insert(entry.inode) {
                room.bytes += entry.bytes();
            }
            if let Units::Grouped(_) = units {
                let owners = units.of(tree, id).count();
                if owners > 1 {
                    room.owners.insert(id, owners);
                }
            }
        }
        room
    }

    /// A unit goes.
    fn take(&mut self, tree: &Tree, units: &Units, unit: Unit) {
        for id in units.entries(unit) {
            let entry = tree.entry(id);
            if entry.is_directory() {
                continue;
            }
            if let Some(owners) = self.owners.get_mut(&id) {
                *owners -= 1;
                if *owners > 0 {
                    continue;
                }
            }
            self.files = self.files.saturating_sub(1);
            if entry.marks.has(Marks::LINKED)
                && let Some(names) = self.names.get_mut(&entry.inode)
            {
                *names = names.saturating_sub(1);
                if *names > 0 {
                    continue;
                }
            }
            self.bytes = self.bytes.saturating_sub(entry.bytes());
        }
    }
}

/// Whether a directory goes when it is empty: it was not changed for long before the sweep, and no pattern says otherwise.
pub(super) fn is_old_directory(tree: &Tree, rules: &Rules, now: i64, id: Id) -> bool {
    let entry = tree.entry(id);
    let marks = Marks::MOUNT.and(Marks::UNREAD).and(Marks::OURS).and(Marks::FOREIGN);
    let least = rules.older_than.unwrap_or_default().max(rules.grace);
    let paths = Paths::new(tree, rules);
    !entry.marks.has(marks)
        && age(now, entry.modified) >= least
        && !paths.excludes(id)
        && !paths.keeps(id)
        && (rules.include.is_empty() || paths.includes(id))
}

impl fmt::Display for Rules {
    /// As the flags.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        words.extend(self.older_than.map(|time| format!("--older-than {}", shown(time))));
        words.extend(self.max_size.map(|size| format!("--max-size {size}B")));
        words.extend(self.max_files.map(|files| format!("--max-files {files}")));
        words.push(format!("--grace {}", shown(self.grace)));
        for (flag, patterns) in [("include", &self.include), ("exclude", &self.exclude), ("keep", &self.keep)]
        {
            words.extend(patterns.iter().map(|pattern| format!("--{flag} {pattern}")));
        }
        f.write_str(&words.join(" "))
    }
}

impl Cause {
    /// In one word, for scripts.
    pub fn word(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::Size => "size",
            Self::Files => "files",
            Self::Left => "left",
        }
    }

    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            Self::Old => "not used for too long",
            Self::Size => "all together take too much",
            Self::Files => "there are too many files",
            Self::Left => "an earlier sweep had begun to remove it",
        }
    }
}

impl Reason {
    /// In one word, for scripts.
    pub fn word(self) -> &'static str {
        match self {
            Self::Young => "young",
            Self::Grace => "grace",
            Self::Excluded => "excluded",
            Self::Kept => "kept",
            Self::Outside => "outside",
            Self::Foreign => "foreign",
            Self::Special => "special",
            Self::Mounted => "mounted",
            Self::Unread => "unread",
            Self::Touched => "touched",
            Self::Open => "open",
            Self::Locked => "locked",
            Self::ToolLocked => "tool-locked",
        }
    }

    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            Self::Young => "used within --older-than, or there is room",
            Self::Grace => "used within --grace",
            Self::Excluded => "--exclude",
            Self::Kept => "--keep",
            Self::Outside => "no --include",
            Self::Foreign => "another user's",
            Self::Special => "a socket, a pipe or a device",
            Self::Mounted => "something is mounted there",
            Self::Unread => "it could not be looked at",
            Self::Touched => "used since it was looked at",
            Self::Open => "somebody has it open",
            Self::Locked => "somebody has it locked",
            Self::ToolLocked => "its tool is at work",
        }
    }
}
