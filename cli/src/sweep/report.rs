//! What went, what stays and why, for people and for scripts.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::io::{self, Write};

use bytesize::ByteSize;
use jiff::Timestamp;
use serde::Serialize;

use super::choose::{self, Reason, Verdict};
use super::remove::{Empty, Event};
use super::trail::Shown;
use super::tree::{Id, Marks};
use super::{Job, Looked, Unit};

/// What one sweep of one directory came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sum {
    /// So many files are gone, or would be.
    pub files: u64,
    /// So many bytes that freed on the disk, or would: a file with several names only with the last of them.
    pub freed: u64,
    /// So many empty directories are gone, or would be.
    pub directories: u64,
    /// So many files somebody else removed meanwhile.
    pub gone: u64,
    /// So many could not be removed.
    pub failed: u64,
    /// How many units were to go and stayed, by why.
    pub stayed: BTreeMap<Reason, u64>,
}

impl Sum {
    /// Something happened.
    pub fn add(&mut self, event: &Event) {
        match event {
            Event::Removed { freed, .. } => {
                self.files += 1;
                self.freed += freed;
            }
            Event::Directory(_) => self.directories += 1,
            Event::Stays(_, reason) => *self.stayed.entry(*reason).or_default() += 1,
            Event::Gone(_) => self.gone += 1,
            Event::Failed(..) => self.failed += 1,
        }
    }

    /// What it would come to, with nothing in use.
    pub fn expected(job: &Job, looked: &Looked) -> Self {
        let (tree, units) = (&looked.scan.tree, &looked.units);
        let mut sum = Self::default();
        let mut left = tree.children();
        let mut names: HashMap<u64, u32> = HashMap::new();
        let was_empty: Vec<bool> = left.iter().map(|&left| left == 0).collect();
        let goes = |unit: Unit| matches!(looked.plan.verdict(unit), Verdict::Goes(_));
        for id in tree.ids().filter(|&id| !tree.entry(id).is_directory()) {
            let mut owners = units.of(tree, id).peekable();
            if owners.peek().is_none() || !owners.all(goes) {
                continue;
            }
            let entry = tree.entry(id);
            sum.files += 1;
            left[entry.parent().index()] -= 1;
            if entry.marks.has(Marks::LINKED) {
                let gone = names.entry(entry.inode).or_default();
                *gone += 1;
                if tree.linked(entry.inode).is_some_and(|linked| linked.all > *gone) {
                    continue;
                }
            }
            sum.freed += entry.bytes();
        }
        for id in tree.below().rev().filter(|&id| tree.entry(id).is_directory()) {
            let may_go = match job.how.empty {
                Empty::Now => true,
                Empty::Later => was_empty[id.index()],
                Empty::Never => false,
            };
            if left[id.index()] == 0 && may_go && choose::is_old_directory(tree, &job.rules, looked.now, id) {
                left[tree.entry(id).parent().index()] -= 1;
                sum.directories += 1;
            }
        }
        sum
    }
}

/// What stays by the plan, by why: how many units.
pub fn stays(looked: &Looked) -> BTreeMap<Reason, u64> {
    let mut stays = BTreeMap::new();
    for unit in looked.units.all(&looked.scan.tree) {
        if let Verdict::Stays(reason) = looked.plan.verdict(unit) {
            *stays.entry(reason).or_default() += 1;
        }
    }
    stays
}

/// All that is told of one directory.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The directory.
    pub path: String,
    /// Whether another sweep was at work there, or somebody else had the directory locked, so that this one did nothing.
    pub skipped: bool,
    /// What the mount keeps of reads: `noatime`, `relatime` or `strictatime`.
    pub atime: Option<&'static str>,
    /// How many files it had.
    pub files: u64,
    /// What they took on the disk, in bytes.
    pub bytes: u64,
    /// How many files were removed, or would be.
    pub removed_files: u64,
    /// How many empty directories were removed, or would be.
    pub removed_directories: u64,
    /// What that freed on the disk, or would, in bytes.
    pub freed_bytes: u64,
    /// How many files could not be removed.
    pub failed: u64,
    /// How many units stay, by why.
    pub stays: BTreeMap<&'static str, u64>,
    /// How many directories could not be read.
    pub unread: usize,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Why it ended before its end, where it did.
    pub error: Option<String>,
}

impl Report {
    /// Of a directory that was not looked at.
    pub fn new(path: String) -> Self {
        Self {
            path,
            skipped: false,
            atime: None,
            files: 0,
            bytes: 0,
            removed_files: 0,
            removed_directories: 0,
            freed_bytes: 0,
            failed: 0,
            stays: BTreeMap::new(),
            unread: 0,
            seconds: 0.0,
            error: None,
        }
    }

    /// What it came to.
    pub fn set(&mut self, looked: &Looked, sum: &Sum) {
        (self.files, self.bytes) = (looked.plan.files, looked.plan.bytes);
        self.atime = Some(looked.clock.mode.name());
        self.unread = looked.scan.unread_in_all;
        let all = stays(looked).into_iter().chain(sum.stayed.clone());
        for (reason, count) in all {
            *self.stays.entry(reason.word()).or_default() += count;
        }
        self.add(sum);
    }

    /// What went, also where the end was not reached.
    pub fn add(&mut self, sum: &Sum) {
        (self.removed_files, self.removed_directories) = (sum.files, sum.directories);
        (self.freed_bytes, self.failed) = (sum.freed, sum.failed);
    }

    /// The line for people.
    pub fn line(&self, is_dry_run: bool) -> String {
        let path = &self.path;
        if self.skipped {
            return format!("{path}: another sweep is at work there: skipped");
        }
        let size = |bytes| ByteSize::b(bytes).display().iec();
        let (verb, frees) = if is_dry_run { ("would go", "would be freed") } else { ("removed", "freed") };
        let mut line = format!(
            "{path}: {} of {} files {verb}, {} of {} {frees}",
            self.removed_files,
            self.files,
            size(self.freed_bytes),
            size(self.bytes)
        );
        // Writing to a string does not fail.
        if self.removed_directories > 0 {
            let _ = write!(line, ", {} empty directories {verb}", self.removed_directories);
        }
        if self.failed > 0 {
            let _ = write!(line, ", {} failed", self.failed);
        }
        let stays: Vec<String> =
            self.stays.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        if !stays.is_empty() {
            let _ = write!(line, "; stay: {}", stays.join(", "));
        }
        if self.unread > 0 {
            let _ = write!(line, "; {} directories could not be read", self.unread);
        }
        if let Some(error) = &self.error {
            let _ = write!(line, "; ended before its end: {error}");
        }
        let _ = write!(line, "; {:.1} s", self.seconds);
        line
    }
}

/// One thing and what became of it, for scripts.
#[derive(Debug, Serialize)]
pub struct Thing<'a> {
    /// `goes` (dry run), `removed`, `directory`, `gone`, `stays` or `failed`.
    action: &'static str,
    /// Where it is or was, from the directory: a text, or a list of bytes where it is none.
    path: Shown<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    used: Option<Timestamp>,
    /// Why, in one word, or what the system says.
    why: String,
}

impl Thing<'_> {
    /// Tells of a unit that would go; none of one that stays.
    pub fn expected<T>(looked: &Looked, unit: Unit, tell: impl FnOnce(Thing<'_>) -> T) -> Option<T> {
        let Verdict::Goes(cause) = looked.plan.verdict(unit) else { return None };
        let tree = &looked.scan.tree;
        let (path, used) = (tree.path(looked.units.head(unit)), used(looked, looked.units.head(unit)));
        let bytes = looked.units.entries(unit).map(|id| tree.entry(id).bytes()).sum();
        let why = cause.word().into();
        Some(tell(Thing { action: "goes", path: Shown(&path), bytes: Some(bytes), used, why }))
    }

    /// Tells of what happened.
    pub fn happened<T>(looked: &Looked, event: &Event, tell: impl FnOnce(Thing<'_>) -> T) -> T {
        let tree = &looked.scan.tree;
        let id = match event {
            Event::Removed { id, .. } | Event::Directory(id) | Event::Gone(id) | Event::Failed(id, _) => *id,
            Event::Stays(unit, _) => looked.units.head(*unit),
        };
        let path = tree.path(id);
        let (action, bytes, why) = match event {
            Event::Removed { freed, cause, .. } => ("removed", Some(*freed), cause.word().into()),
            Event::Directory(_) => ("directory", None, "empty".into()),
            Event::Gone(_) => ("gone", None, "somebody else removed it".into()),
            Event::Failed(_, errno) => ("failed", None, io::Error::from(*errno).to_string()),
            Event::Stays(_, reason) => ("stays", None, reason.word().into()),
        };
        let used = if tree.entry(id).is_directory() { None } else { used(looked, id) };
        tell(Thing { action, path: Shown(&path), bytes, used, why })
    }

    /// The line for people.
    pub fn line(&self) -> String {
        let path = String::from_utf8_lossy(self.path.0);
        let mut line = format!("{:9} {}", self.action, path.escape_debug());
        if let Some(bytes) = self.bytes {
            let _ = write!(line, ", {}", ByteSize::b(bytes).display().iec());
        }
        if let Some(used) = self.used {
            let _ = write!(line, ", used {used:.0}");
        }
        let _ = write!(line, ": {}", self.why);
        line
    }
}

fn used(looked: &Looked, id: Id) -> Option<Timestamp> {
    Timestamp::from_nanosecond(looked.scan.tree.entry(id).used.into()).ok()
}

/// Writes one JSON document piece by piece, so that a million things need no memory.
#[derive(Debug)]
pub struct Document<W> {
    out: W,
    is_first: bool,
    is_first_thing: bool,
}

impl<W: Write> Document<W> {
    /// Begins the document.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(mut out: W, is_dry_run: bool) -> io::Result<Self> {
        write!(out, "{{\"schema\":1,\"dry_run\":{is_dry_run},\"directories\":[")?;
        Ok(Self { out, is_first: true, is_first_thing: true })
    }

    /// A directory begins.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(&mut self) -> io::Result<()> {
        let comma = if std::mem::take(&mut self.is_first) { "" } else { "," };
        self.is_first_thing = true;
        write!(self.out, "{comma}{{\"things\":[")
    }

    /// Something of the directory.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn thing(&mut self, thing: &Thing<'_>) -> io::Result<()> {
        let comma: &[u8] = if std::mem::take(&mut self.is_first_thing) { b"" } else { b"," };
        self.out.write_all(comma)?;
        Ok(serde_json::to_writer(&mut self.out, thing)?)
    }

    /// The directory is done.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn end(&mut self, report: &Report) -> io::Result<()> {
        let text = serde_json::to_string(report)?;
        // Its fields go on where the things ended.
        write!(self.out, "],{}", text.trim_start_matches('{'))
    }

    /// Ends the document.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> io::Result<()> {
        writeln!(self.out, "]}}")?;
        self.out.flush()
    }
}
