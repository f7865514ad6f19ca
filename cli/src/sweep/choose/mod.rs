//! What goes and what stays, and why: a pure function of what there is.

use std::fmt;
use std::time::Duration;

use super::pattern::Pattern;
use super::tree::{Entry, Id, Kind, Marks, Tree};
use super::unit::{Unit, Units};
use crate::lapse::shown;

mod patterns;
mod room;
mod used;
mod verdict;

use patterns::Paths;
use room::Room;
use used::used;
pub use verdict::{Cause, Reason, Verdict};

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
