//! What a recovery did.

use std::fmt;

use bytesize::ByteSize;
use serde::Serialize;

use crate::journal::Record;

/// What a recovery removed and what it could not, for people and for scripts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The version of this form.
    pub schema: u32,
    /// Whether nothing was removed, and this tells what would be.
    pub dry_run: bool,
    /// Whether another recovery is at work, so that this one did nothing.
    pub busy: bool,
    /// Whether the time was over before all was tried.
    pub unfinished: bool,
    /// What was removed.
    pub removed: Vec<Removed>,
    /// Processes that had outlived their container's shim and were killed.
    pub processes: usize,
    /// Records that were removed, those of what was removed too.
    pub records: usize,
    /// Half-written files that were removed.
    pub files: usize,
    /// Leases that had ended and were removed.
    pub leases: usize,
    /// The bytes that came free: what the removed containers had written; their anonymous volumes are not counted.
    pub freed: u64,
    /// What could not be removed.
    pub failed: Vec<Failed>,
    /// What failed before and waits for its next time.
    pub later: Vec<Failed>,
    /// How many have an owner who lives.
    pub alive: usize,
    /// What has our label, and an owner on another machine or in another container.
    pub unknown: Vec<String>,
    /// Records that this version cannot read. They stay.
    pub unreadable: Vec<String>,
}

/// Something that was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// What it was: `container`; `lease` for what a run on containerd made before its container; `name` for a name of an image.
    pub kind: &'static str,
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// The bytes that it had written, where that is known.
    pub bytes: Option<u64>,
}

/// Something that could not be removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// What it is for: its command, or its name.
    pub what: String,
    /// Why not.
    pub reason: String,
    /// How often it was tried.
    pub times: u32,
}

impl Failed {
    /// What a record says of the removals that failed so far.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        let failure = record.failure.as_ref();
        Self {
            what: record.command.clone(),
            reason: failure.map(|failure| failure.reason.clone()).unwrap_or_default(),
            times: failure.map_or(0, |failure| failure.times),
        }
    }
}

impl Report {
    /// An empty one.
    #[must_use]
    pub fn new(dry_run: bool) -> Self {
        Self { schema: 1, dry_run, ..Self::default() }
    }

    /// Whether there was nothing to do.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.removed.is_empty()
            && self.processes == 0
            && self.records == 0
            && self.failed.is_empty()
            && self.files == 0
            && self.leases == 0
    }
}

/// What others named is shown without control characters.
fn clean(text: &str) -> String {
    text.replace(char::is_control, " ")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.busy {
            return write!(f, "another recovery is at work");
        }
        let verb = if self.dry_run { "would remove" } else { "removed" };
        for Removed { kind, id, name, image, bytes } in &self.removed {
            let short: String = id.chars().take(12).collect();
            let size = bytes.map(|bytes| format!(", {}", ByteSize(bytes).display().si())).unwrap_or_default();
            match *kind {
                "name" => writeln!(f, "{verb} the name {} of an image", clean(name))?,
                "lease" => writeln!(f, "{verb} lease {} ({short}){size}", clean(name))?,
                "volume" => writeln!(f, "{verb} volume {short}{size}")?,
                kind => writeln!(f, "{verb} {kind} {} ({short}) of {}{size}", clean(name), clean(image))?,
            }
        }
        if self.processes > 0 {
            writeln!(f, "killed {} without a container", counted(self.processes, "process"))?;
        }
        for Failed { what, reason, times } in &self.failed {
            writeln!(
                f,
                "could not remove what '{}' left, tried {times} times: {}",
                clean(what),
                clean(reason)
            )?;
        }
        for Failed { what, reason, .. } in &self.later {
            writeln!(f, "waits before it tries again what '{}' left: {}", clean(what), clean(reason))?;
        }
        for name in &self.unknown {
            writeln!(f, "left {} alone: its owner cannot be seen from here", clean(name))?;
        }
        for name in &self.unreadable {
            writeln!(f, "left the record {name} alone: this version cannot read it")?;
        }
        let number = |kind: &str| self.removed.iter().filter(|removed| removed.kind == kind).count();
        match (number("container"), number("lease"), number("volume"), self.records) {
            (0, 0, 0, 0) => write!(f, "nothing to recover"),
            (containers, leases, volumes, records) => {
                let freed = ByteSize(self.freed).display().si();
                write!(f, "{verb} {}", counted(containers, "container"))?;
                if leases > 0 {
                    write!(f, ", {}", counted(leases, "lease"))?;
                }
                if volumes > 0 {
                    write!(f, ", {}", counted(volumes, "volume"))?;
                }
                write!(f, " and {}, {freed}", counted(records, "record"))
            }
        }
    }
}

fn counted(number: usize, what: &str) -> String {
    let end = match what {
        _ if number == 1 => "",
        what if what.ends_with('s') => "es",
        _ => "s",
    };
    format!("{number} {what}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_what_went_and_what_did_not() {
        let removed = Removed {
            kind: "container",
            id: "0123456789abcdef".into(),
            name: "brave_\u{1b}turing".into(),
            image: "debian:12".into(),
            bytes: Some(1_500_000),
        };
        let failed = Failed { what: "docker run x".into(), reason: "device busy".into(), times: 2 };
        let report = Report {
            removed: vec![removed],
            processes: 2,
            records: 1,
            freed: 1_500_000,
            failed: vec![failed.clone()],
            later: vec![failed],
            unknown: vec!["far".into()],
            unreadable: vec!["0f".into()],
            ..Report::new(false)
        };
        insta::assert_snapshot!(report, @r"
        removed container brave_ turing (0123456789ab) of debian:12, 1.5 MB
        killed 2 processes without a container
        could not remove what 'docker run x' left, tried 2 times: device busy
        waits before it tries again what 'docker run x' left: device busy
        left far alone: its owner cannot be seen from here
        left the record 0f alone: this version cannot read it
        removed 1 container and 1 record, 1.5 MB
        ");
        insta::assert_snapshot!(Report::new(true), @"nothing to recover");
        assert!(Report::new(true).is_quiet());
        assert!(!report.is_quiet());
    }
}
