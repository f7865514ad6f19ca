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

/// How often, for people.
pub(crate) fn often(times: u32) -> String {
    if times == 1 { "once".into() } else { format!("{times} times") }
}

impl Report {
    /// What became of each thing, a line each.
    fn lines(&self) -> Vec<String> {
        let verb = self.verb();
        let mut lines = Vec::new();
        for Removed { kind, id, name, image, bytes } in &self.removed {
            let short: String = id.chars().take(12).collect();
            let size = bytes.map(|bytes| format!(", {}", ByteSize(bytes).display().si())).unwrap_or_default();
            let name = clean(name);
            lines.push(match *kind {
                "name" => format!("{verb} the name {name} of an image"),
                "lease" => format!("{verb} lease {name} ({short}){size}"),
                "volume" => format!("{verb} volume {short}{size}"),
                kind => format!("{verb} {kind} {name} ({short}) of {}{size}", clean(image)),
            });
        }
        if self.processes > 0 {
            lines.push(format!("killed {} without a container", counted(self.processes, "process")));
        }
        for Failed { what, reason, times } in &self.failed {
            let (what, reason) = (clean(what), clean(reason));
            lines.push(format!("could not remove what '{what}' left, tried {}: {reason}", often(*times)));
        }
        for Failed { what, reason, .. } in &self.later {
            let (what, reason) = (clean(what), clean(reason));
            lines.push(format!("waits before it tries again what '{what}' left: {reason}"));
        }
        for name in &self.unknown {
            lines.push(format!("left {} alone: its owner cannot be seen from here", clean(name)));
        }
        for name in &self.unreadable {
            lines.push(format!("left the record {name} alone: this version cannot read it"));
        }
        lines
    }

    /// All that was removed, in one line; none where only failures are to be told.
    fn sum(&self) -> Option<String> {
        let number = |kind: &str| self.removed.iter().filter(|removed| removed.kind == kind).count();
        let (containers, leases, volumes) = (number("container"), number("lease"), number("volume"));
        if (containers, leases, volumes, self.records) == (0, 0, 0, 0) {
            return self.failed.is_empty().then(|| "nothing to recover".into());
        }
        let others = [(leases, "lease"), (volumes, "volume")].into_iter().filter(|(number, _)| *number > 0);
        let others: String = others.map(|(number, what)| format!(", {}", counted(number, what))).collect();
        let (containers, records) = (counted(containers, "container"), counted(self.records, "record"));
        let freed = ByteSize(self.freed).display().si();
        Some(format!("{} {containers}{others} and {records}, {freed}", self.verb()))
    }

    fn verb(&self) -> &'static str {
        if self.dry_run { "would remove" } else { "removed" }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.busy {
            return f.write_str("another recovery is at work");
        }
        let lines: Vec<_> = self.lines().into_iter().chain(self.sum()).collect();
        f.write_str(&lines.join("\n"))
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
            later: vec![failed.clone()],
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
        let failed = Failed { times: 1, ..failed };
        insta::assert_snapshot!(
            Report { failed: vec![failed], ..Report::new(false) },
            @"could not remove what 'docker run x' left, tried once: device busy"
        );
        assert!(Report::new(true).is_quiet());
        assert!(!report.is_quiet());
    }
}
