//! What the sweep laboratory saw, as it is kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::results::{Pieces, replace};

/// All of it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Raw {
    /// What was measured on, and when.
    pub machine: Value,
    /// The programs beside which we are, with their versions.
    pub programs: BTreeMap<String, String>,
    /// How long all of it took, in seconds.
    pub seconds: u64,
    /// Swaps of directories and links under a sweep.
    pub attacks: Vec<Attack>,
    /// Sweeps that were held against a naive model.
    #[serde(default)]
    pub models: Vec<Model>,
    /// Sweeps that were killed.
    pub kills: Vec<Kills>,
    /// Tools in a loop beside sweeps of their caches.
    pub caches: Vec<Cache>,
    /// How long it took.
    pub speeds: Vec<Speed>,
}

impl Pieces for Raw {
    fn seen_on(self, machine: Value, seconds: u64) -> Self {
        Self { machine, seconds, ..self }
    }

    fn update(&mut self, seen: Self) {
        self.machine = seen.machine;
        self.programs.extend(seen.programs);
        self.seconds += seen.seconds;
        replace(&mut self.attacks, seen.attacks, |attack| (attack.file_system.clone(), attack.who.clone()));
        replace(&mut self.models, seen.models, |_| ());
        replace(&mut self.kills, seen.kills, |_| ());
        replace(&mut self.caches, seen.caches, |cache| cache.tool.clone());
        replace(&mut self.speeds, seen.speeds, |speed| (speed.what.clone(), speed.files, speed.is_cold));
        // In the order of a whole run, whatever was run first.
        self.speeds.sort_by_key(|speed| (speed.files, speed.what == "delete", speed.is_cold));
    }
}

/// One attack.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Attack {
    /// On which file system.
    pub file_system: String,
    /// Who swept: `ci-build sweep`, or `by paths`, the control.
    pub who: String,
    /// How many swaps there were.
    pub swaps: u64,
    /// How many sweeps.
    pub sweeps: u64,
    /// How many files they removed within the tree.
    pub removed: u64,
    /// How many files outside of it are gone.
    pub lost: u64,
}

/// A tree of every kind of entry, swept again and again, each time held against a naive model.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Model {
    /// How many entries it had: of directories, names of files, and links.
    pub entries: u64,
    /// How many of them were no directories.
    pub files: u64,
    /// How many were directories.
    pub directories: u64,
    /// How many directories the deepest was below the tree.
    pub deepest: u64,
    /// How many were second and later names of a file.
    pub hard: u64,
    /// How many files had one more name outside of the tree.
    pub outside: u64,
    /// How many were symbolic links.
    pub links: u64,
    /// How many were sparse files.
    pub sparse: u64,
    /// The sweeps, in their order.
    pub passes: Vec<Pass>,
    /// How long it took, with the making of the tree.
    pub seconds: u64,
}

/// One sweep that was held against the model.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Pass {
    /// By which rule it was swept.
    pub rule: String,
    /// How many entries went, directories too.
    pub removed: u64,
    /// How many bytes that freed.
    pub freed: u64,
    /// What was not as the model says.
    pub complaints: Vec<String>,
}

/// Sweeps that were killed by SIGKILL at any moment.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Kills {
    /// How many were started.
    pub all: u64,
    /// How many were killed before their end.
    pub killed: u64,
    /// How many files there were.
    pub files: u64,
    /// How many files went that the trail does not know of.
    pub untold: u64,
    /// What was wrong afterwards.
    pub complaints: Vec<String>,
}

/// One tool in a loop, its cache swept all the time.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Cache {
    /// Which tool.
    pub tool: String,
    /// Its version; none where it is not to be had here, and nothing was run.
    pub version: Option<String>,
    /// How often it was run.
    pub runs: u64,
    /// How often it failed.
    pub failed: u64,
    /// What it said: different messages, at most 5.
    pub said: Vec<String>,
    /// How many sweeps there were.
    pub sweeps: u64,
    /// How many of them failed.
    pub failed_sweeps: u64,
    /// How many files they removed.
    pub removed: u64,
}

/// How long something took, by who did it, in milliseconds, in turn.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Speed {
    /// `scan` or `delete`.
    pub what: String,
    /// How many files there were. Half of them are deleted.
    pub files: u64,
    /// Whether nothing of the disk was in memory.
    pub is_cold: bool,
    /// By who did it: `ci-build`, `find`, `systemd-tmpfiles`.
    pub ms: BTreeMap<String, Vec<f64>>,
    /// The processor time of all threads, in milliseconds.
    #[serde(default)]
    pub cpu: BTreeMap<String, Vec<f64>>,
    /// The most memory that each took, in KiB.
    pub memory: BTreeMap<String, u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_of_the_same_before_is_replaced() {
        let speed = |files, ms| Speed {
            what: "scan".into(),
            files,
            ms: [("find".to_owned(), vec![ms])].into(),
            ..Speed::default()
        };
        let seen = |speed| Raw { speeds: vec![speed], seconds: 5, ..Raw::default() };
        let mut raw = Raw::default();
        for speed in [speed(20, 1.0), speed(10, 2.0), speed(20, 3.0)] {
            raw.update(seen(speed));
        }
        let told: Vec<_> = raw.speeds.iter().map(|speed| (speed.files, speed.ms["find"][0])).collect();
        assert_eq!(told, [(10, 2.0), (20, 3.0)]);
        assert_eq!(raw.seconds, 15);
    }
}
