//! What the recovery laboratory saw.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::prunes::speed::median;

/// All results, of one run of it or of several.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Raw {
    /// Where all of it was, and when the last of it.
    pub machine: Value,
    /// The engines' names and versions.
    pub engines: BTreeMap<String, String>,
    /// A row a place.
    pub rows: Vec<Row>,
    /// Many leftovers at once, an engine each.
    #[serde(default)]
    pub many: Vec<Many>,
    /// How long runs take, an engine each.
    #[serde(default)]
    pub speed: Vec<Speed>,
    /// What cancelled runs leave, an engine each.
    #[serde(default)]
    pub wedge: Vec<Wedge>,
}

/// One scenario, gone wrong at one place, again and again.
#[derive(Debug, Serialize, Deserialize)]
pub struct Row {
    /// The engine's name.
    pub engine: String,
    /// The scenario's name.
    pub scenario: String,
    /// The place, or the call that failed.
    pub place: String,
    /// How often it was tried.
    pub times: u32,
    /// How often it went wrong there.
    pub killed: u32,
    /// What was left after one recovery, a line each.
    pub left: Vec<String>,
    /// How long all of it took.
    pub seconds: f32,
}

/// Many leftovers that one recovery removes.
#[derive(Debug, Serialize, Deserialize)]
pub struct Many {
    /// The engine's name.
    pub engine: String,
    /// How many containers.
    pub containers: u32,
    /// How many of them ran.
    pub running: u32,
    /// How many had a record, and not only labels.
    pub recorded: u32,
    /// How long `ci-build recover` took.
    pub seconds: f32,
    /// What was left, a line each.
    pub left: Vec<String>,
}

/// Runs of a container that does nothing, by both in turn. Times are in milliseconds, from the start of the program to its
/// end.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Speed {
    /// The engine's name.
    pub engine: String,
    /// By `ci-build run`.
    pub ours_ms: Vec<f64>,
    /// By what it is measured beside.
    pub theirs_ms: Vec<f64>,
    /// What that is: `docker run --rm` or `ctr run --rm`.
    pub theirs: String,
}

/// Runs whose client was killed when the container was up, again and again on one engine.
#[derive(Debug, Serialize, Deserialize)]
pub struct Wedge {
    /// The engine's name.
    pub engine: String,
    /// How many were killed, of each kind.
    pub cancelled: u32,
    /// What those of a bare `ctr run --rm` left.
    pub ctr: Left,
    /// What those of `ci-build run --containerd` left, when one more run had ended by itself.
    pub ours: Left,
    /// The same when another one was killed, and after a recovery.
    pub recovered: Left,
    /// How long that recovery took.
    pub recovery_seconds: f32,
}

/// What is there that was not there before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Tasks, which run.
    pub tasks: usize,
    /// Containers.
    pub containers: usize,
    /// Snapshots.
    pub snapshots: usize,
    /// Leases.
    pub leases: usize,
    /// Bytes of snapshots on the disk.
    pub bytes: u64,
}

impl Raw {
    /// Adds a row, in the place of an earlier one of the same.
    pub fn put(&mut self, row: Row) {
        let is_same = |other: &Row| {
            (&other.engine, &other.scenario, &other.place) == (&row.engine, &row.scenario, &row.place)
        };
        match self.rows.iter().position(is_same) {
            Some(at) => self.rows[at] = row,
            None => self.rows.push(row),
        }
        // Those of one engine stay as they came.
        self.rows.sort_by(|a, b| a.engine.cmp(&b.engine));
    }

    /// Adds what many leftovers took, in the place of an earlier result of the same engine.
    pub fn put_many(&mut self, many: Many) {
        self.many.retain(|other| other.engine != many.engine);
        self.many.push(many);
    }

    /// Adds what cancelled runs left, in the place of an earlier result of the same engine.
    pub fn put_wedge(&mut self, wedge: Wedge) {
        self.wedge.retain(|other| other.engine != wedge.engine);
        self.wedge.push(wedge);
    }

    /// Adds how long runs took, in the place of an earlier result of the same engine.
    pub fn put_speed(&mut self, speed: Speed) {
        self.speed.retain(|other| other.engine != speed.engine);
        self.speed.push(speed);
    }
}

impl Left {
    /// What is there more than before.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            tasks: self.tasks.saturating_sub(before.tasks),
            containers: self.containers.saturating_sub(before.containers),
            snapshots: self.snapshots.saturating_sub(before.snapshots),
            leases: self.leases.saturating_sub(before.leases),
            bytes: self.bytes.saturating_sub(before.bytes),
        }
    }

    /// Whether nothing is there more, but for less on the disk than one container wrote.
    #[must_use]
    pub fn is_nothing(&self, written: u64) -> bool {
        let Self { tasks, containers, snapshots, leases, bytes } = *self;
        [tasks, containers, snapshots, leases] == [0; 4] && bytes < written
    }
}

impl Speed {
    /// How many times as long ours took, by the medians.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        median(&self.ours_ms) / median(&self.theirs_ms)
    }
}
