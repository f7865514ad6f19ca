//! What the recovery laboratory saw.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// All results of one run of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Raw {
    /// Where and when.
    pub machine: Value,
    /// The engines' names and versions.
    pub engines: BTreeMap<String, String>,
    /// A row a place.
    pub rows: Vec<Row>,
}

/// One scenario, killed at one place, again and again.
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
    /// How often the command was killed there, or a call of it failed.
    pub killed: u32,
    /// What was left after one recovery, a line each.
    pub left: Vec<String>,
    /// How long all of it took.
    pub seconds: f32,
}
