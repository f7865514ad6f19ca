//! What the prune laboratory saw, as it is kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// All of it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Raw {
    /// What was measured on, and when.
    pub machine: Value,
    /// The engines, with their versions.
    pub engines: BTreeMap<String, String>,
    /// How long all of it took, in seconds.
    pub seconds: u64,
    /// Engine × pruner.
    pub loads: Vec<Load>,
    /// Prunes that were killed.
    pub kills: Vec<Kills>,
}

/// Jobs beside one pruner on one engine.
#[derive(Debug, Serialize, Deserialize)]
pub struct Load {
    /// A name of [`Kind`](xtask::engines::Kind).
    pub engine: String,
    /// A name of [`PRUNERS`](super::load::PRUNERS).
    pub pruner: String,
    /// How long it took.
    pub seconds: u64,
    /// How many prunes ran meanwhile.
    pub prunes: usize,
    /// How many images they deleted.
    pub deleted: usize,
    /// What prunes said that failed: different messages, at most 5.
    pub failed_prunes: Vec<String>,
    /// Whether the engine died of it, which ended it.
    pub has_died: bool,
    /// By the kind of job.
    pub jobs: BTreeMap<String, Jobs>,
}

/// The jobs of one kind.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Jobs {
    /// How many ran.
    pub all: usize,
    /// How many of them failed.
    pub failed: usize,
    /// What they said: different messages, at most 5.
    pub said: Vec<String>,
}

/// Prunes that were killed at a random moment, on one engine.
#[derive(Debug, Serialize, Deserialize)]
pub struct Kills {
    /// A name of [`Kind`](xtask::engines::Kind).
    pub engine: String,
    /// How many were started.
    pub all: usize,
    /// How many of them were killed before they ended.
    pub killed: usize,
    /// How many of those had deleted some of the images and not all.
    pub between: usize,
    /// What was wrong afterwards.
    pub complaints: Vec<String>,
}

impl Raw {
    /// In the place of that of the same engine and pruner.
    pub fn put_load(&mut self, load: Load) {
        let is_same = |earlier: &Load| (&earlier.engine, &earlier.pruner) == (&load.engine, &load.pruner);
        match self.loads.iter_mut().find(|earlier| is_same(earlier)) {
            Some(place) => *place = load,
            None => self.loads.push(load),
        }
        // The pruners of an engine stay in their order.
        self.loads.sort_by(|one, other| one.engine.cmp(&other.engine));
    }

    /// In the place of those of the same engine.
    pub fn put_kills(&mut self, kills: Kills) {
        self.kills.retain(|earlier| earlier.engine != kills.engine);
        self.kills.push(kills);
        self.kills.sort_by(|one, other| one.engine.cmp(&other.engine));
    }
}
