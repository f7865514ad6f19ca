//! What goes, what stays and why, for people and for scripts.

use std::fmt::{self, Write as _};
use std::time::Duration;

use bytesize::ByteSize;
use jiff::Timestamp;
use serde::Serialize;

use super::choose::{Cause, Decision, Reason, Thing, Verdict};
use super::execute::Outcome;
use super::inventory::Ages;
use super::{Inventory, disk};
use crate::disk::Space;
use crate::lapse::shown;

/// The cause of build cache that stays since somebody uses the store.
pub const STORE_IN_USE: &str = "store-in-use";

/// All that is told of one prune.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The form of this document.
    pub schema: u32,
    /// The store's name or engine.
    pub store: String,
    /// Whether another prune was at work, so that this one did nothing.
    pub skipped: bool,
    /// Whether nothing was to be deleted.
    pub dry_run: bool,
    /// By what ages are told: `watch`, `records` or `creation`.
    pub ages: &'static str,
    /// The engine's disk before. None where it cannot be seen from here.
    pub disk_before: Option<DiskUse>,
    /// The engine's disk after.
    pub disk_after: Option<DiskUse>,
    /// The bytes by which the disk has more room than before: really, whatever others did meanwhile.
    pub freed_bytes: Option<i64>,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// What became of each thing, in the order in which it was decided.
    pub things: Vec<Entry>,
    /// How many were deleted.
    pub deleted: u64,
    /// How many could not be.
    pub failed: u64,
    /// Why it ended before its end, where it did.
    pub error: Option<String>,
}

/// How full a disk is.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct DiskUse {
    used_bytes: u64,
    available_bytes: u64,
    used_percent: u8,
    inodes_used_percent: u8,
}

/// One thing and what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// What it is: `image`, `container`, `cache`, `volume`, `network`.
    pub kind: &'static str,
    /// How it is called.
    pub name: String,
    /// Its id, where it has one beside its name.
    pub id: String,
    /// Its bytes, with those that it shares with others.
    pub size: Option<u64>,
    /// When it was used last, as far as is known.
    pub used: Timestamp,
    /// `goes` (dry run), `deleted`, `gone`, `failed` or `stays`.
    pub action: &'static str,
    /// Why, in one word.
    pub cause: &'static str,
    /// Why, in a few words.
    pub why: String,
}

impl From<Space> for DiskUse {
    fn from(space: Space) -> Self {
        Self {
            used_bytes: space.used,
            available_bytes: space.free,
            used_percent: disk::used_percent(space),
            inodes_used_percent: disk::inodes_used_percent(space),
        }
    }
}

impl Report {
    /// What is told of a prune that did nothing yet.
    pub fn new(store: String, dry_run: bool) -> Self {
        Self {
            schema: 1,
            store,
            skipped: false,
            dry_run,
            ages: "creation",
            disk_before: None,
            disk_after: None,
            freed_bytes: None,
            seconds: 0.0,
            things: Vec::new(),
            deleted: 0,
            failed: 0,
            error: None,
        }
    }

    /// Says how the disk is after all.
    pub fn set_disk(&mut self, before: Option<Space>, after: Option<Space>) {
        (self.disk_before, self.disk_after) = (before.map(Into::into), after.map(Into::into));
        if let (Some(before), Some(after)) = (before, after) {
            let bytes = i128::from(after.free) - i128::from(before.free);
            self.freed_bytes = i64::try_from(bytes).ok();
        }
    }

    /// The last lines for people: what it came to.
    pub fn summary(&self) -> String {
        let mut text = String::new();
        let count = |is: &dyn Fn(&Entry) -> bool| self.things.iter().filter(|entry| is(entry)).count();
        let stays = count(&|entry| entry.action == "stays");
        let goes = count(&|entry| entry.action == "goes");
        // Writing to a string does not fail.
        let _ = match self.dry_run {
            true => match count(&|entry| entry.action == "goes" && entry.cause == Cause::Pressure.word()) {
                0 => write!(text, "{goes} would go, {stays} stay"),
                most => write!(
                    text,
                    "{} would go, {most} more at most until there is room, {stays} stay",
                    goes - most
                ),
            },
            false => write!(text, "{} deleted, {} failed, {stays} stay", self.deleted, self.failed),
        };
        let _ = match (self.freed_bytes, self.dry_run) {
            (_, true) => Ok(()),
            (Some(bytes), _) => write!(text, "; {} freed", signed(bytes)),
            (None, _) => write!(text, "; the engine's disk cannot be seen from here"),
        };
        if let Some(disk) = self.disk_after {
            let _ = write!(text, "; the disk is {} % full", disk.used_percent);
        }
        let _ = write!(text, "; {:.1} s", self.seconds);
        text
    }
}

fn signed(bytes: i64) -> String {
    let sign = if bytes < 0 { "-" } else { "" };
    format!("{sign}{}", ByteSize::b(bytes.unsigned_abs()).display().si())
}

impl Ages {
    /// In one word, for scripts.
    pub fn word(self) -> &'static str {
        match self {
            Self::Watched => "watch",
            Self::Known { .. } => "records",
            Self::Made => "creation",
        }
    }

    /// What people should know about it; none where all is as it should be.
    pub fn note(self) -> Option<String> {
        match self {
            Self::Watched => None,
            Self::Known { since, watched: None } => Some(format!(
                "`ci-build watch` does not run: uses since {since:.0} are known in part, and what came since the last \
                 prune counts as used now"
            )),
            Self::Known { watched: Some(watched), .. } => {
                Some(format!("`ci-build watch` runs since {watched:.0}: uses before that are known in part"))
            }
            Self::Made => Some(
                "this is the first prune, and `ci-build watch` has not run for --older-than: images of which no use is \
                 known are as old as they were made"
                    .into(),
            ),
        }
    }
}

impl Entry {
    /// One thing: as it was decided, or as it came out.
    pub fn new(inventory: &Inventory, decision: &Decision, outcome: Option<&Outcome>) -> Self {
        let (kind, name, id, size) = thing(inventory, decision.thing);
        let (action, cause, why) = match (&decision.verdict, outcome) {
            (Verdict::Stays(reason), _) | (_, Some(Outcome::Stays(reason))) => {
                ("stays", reason.word(), reason.to_string())
            }
            (_, Some(Outcome::Failed(message))) => ("failed", "failed", clean(message)),
            (_, Some(Outcome::Gone)) => ("gone", "gone", "somebody else deleted it".into()),
            (_, Some(Outcome::Deleted(cause))) => ("deleted", cause.word(), cause.to_string()),
            (Verdict::Goes(cause), None) => ("goes", cause.word(), cause.to_string()),
        };
        Self { kind, name, id, size, used: decision.used, action, cause, why }
    }

    /// The line for people.
    pub fn line(&self, now: Timestamp) -> String {
        let mut line = format!("{:7} {:9} {}", self.action, self.kind, self.name);
        if let Some(size) = self.size {
            let _ = write!(line, ", {}", ByteSize::b(size).display().si());
        }
        let age = now.duration_since(self.used).try_into().unwrap_or(Duration::ZERO);
        let _ = write!(line, ", used {} ago: {}", coarse(age), self.why);
        line
    }
}

fn thing(inventory: &Inventory, thing: Thing) -> (&'static str, String, String, Option<u64>) {
    match thing {
        Thing::Image(index) => {
            let image = &inventory.images[index];
            let names = if image.names.is_empty() { &image.digests } else { &image.names };
            let name = if names.is_empty() { image.id.clone() } else { names.join(", ") };
            ("image", clean(&name), image.id.clone(), Some(image.size))
        }
        Thing::Container(index) => {
            let container = &inventory.containers[index];
            ("container", clean(&container.name), container.id.clone(), None)
        }
        Thing::Cache(index) => {
            let record = &inventory.build_cache[index];
            ("cache", clean(&record.description), record.id.clone(), Some(record.size))
        }
        Thing::Volume(index) => {
            let name = clean(&inventory.volumes[index].name);
            ("volume", name.clone(), name, None)
        }
        Thing::Network(index) => {
            let network = &inventory.networks[index];
            ("network", clean(&network.name), network.id.clone(), None)
        }
    }
}

/// What others wrote may hold control characters, and be long.
fn clean(text: &str) -> String {
    const LONGEST: usize = 200;
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect();
    text.trim().to_owned()
}

/// A time in its two largest units would be exact; one is read faster.
fn coarse(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

impl Cause {
    /// In one word, for scripts.
    pub fn word(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::Pressure => "pressure",
            Self::Size => "size",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Old => "not used for too long",
            Self::Pressure => "the disk is too full",
            Self::Size => "the build cache is too large",
        })
    }
}

impl Reason {
    /// In one word, for scripts.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Leased(_) => "leased",
            Self::Container { .. } => "container",
            Self::Kept(_) => "kept",
            Self::Frontend => "frontend",
            Self::Outside(_) => "outside",
            Self::Nameless => "nameless",
            Self::Parent(_) => "parent",
            Self::Grace(_) => "grace",
            Self::Young(_) => "young",
            Self::InUse => "in-use",
            Self::StoreInUse => STORE_IN_USE,
            Self::Owned => "owned",
            Self::OtherCache => "other-cache",
            Self::Ageless => "ageless",
            Self::Named => "named",
            Self::Renamed(_) => "renamed",
            Self::Room => "room",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leased(name) => write!(f, "leased as {}", clean(name)),
            Self::Container { name, state } => write!(f, "the container {} is {state}", clean(name)),
            Self::Kept(pattern) => write!(f, "--keep {}", clean(pattern)),
            Self::Frontend => f.write_str("builds use it, and no engine tells when"),
            Self::Outside(name) => write!(f, "{} is no --repository", clean(name)),
            Self::Nameless => f.write_str("it has no name, and --dangling is not given"),
            Self::Parent(child) => write!(f, "{} is made from it", clean(child)),
            Self::Grace(age) => write!(f, "used or new {} ago, within --grace", shown(*age)),
            Self::Young(age) => write!(f, "used {} ago, within --older-than", coarse(*age)),
            Self::InUse => f.write_str("it is in use"),
            Self::StoreInUse => {
                f.write_str("the store is in use, and this engine dies of a prune beside a build")
            }
            Self::Owned => f.write_str("the job that it was made for still runs"),
            Self::OtherCache => f.write_str("no --cache-mount"),
            Self::Ageless => f.write_str("the engine does not tell its age"),
            Self::Named => f.write_str("somebody gave it its name, and may want what is in it"),
            Self::Renamed(name) => write!(f, "it was just named {}", clean(name)),
            Self::Room => f.write_str("there is room again"),
        }
    }
}
