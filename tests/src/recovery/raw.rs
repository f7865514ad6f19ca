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
    /// By `docker run --rm`.
    pub docker_ms: Vec<f64>,
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
    }

    /// Adds what many leftovers took, in the place of an earlier result of the same engine.
    pub fn put_many(&mut self, many: Many) {
        self.many.retain(|other| other.engine != many.engine);
        self.many.push(many);
    }

    /// Adds how long runs took, in the place of an earlier result of the same engine.
    pub fn put_speed(&mut self, speed: Speed) {
        self.speed.retain(|other| other.engine != speed.engine);
        self.speed.push(speed);
    }
}

impl Speed {
    /// How many times as long ours took, by the medians.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        median(&self.ours_ms) / median(&self.docker_ms)
    }
}
