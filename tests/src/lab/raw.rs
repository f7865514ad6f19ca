//! What a laboratory saw, as it is kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use xtask::build::Ended;

use crate::results::{Pieces, replace};

/// All of it. Times are in milliseconds, from the start of the client to its end.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Raw {
    /// What was measured on, and when.
    pub machine: Value,
    /// The engines, with their versions.
    pub engines: BTreeMap<String, String>,
    /// How long all of it took, in seconds.
    pub seconds: u64,
    /// Situation × engine × strategy.
    pub cells: Vec<Cell>,
    /// How long builds without a failure take.
    pub walls: Vec<Wall>,
    /// What stays in the cache.
    pub keys: Vec<Key>,
    /// Input that nobody should give.
    pub odd: Vec<Odd>,
}

/// How the reason begins why there are no runs, where that is nobody's fault but the laboratory's.
pub(super) const LABORATORY_FAILED: &str = "the laboratory failed";

impl Pieces for Raw {
    fn seen_on(self, machine: Value, seconds: u64) -> Self {
        Self { machine, seconds, ..self }
    }

    fn update(&mut self, later: Self) {
        self.machine = later.machine;
        self.engines.extend(later.engines);
        self.seconds += later.seconds;
        replace(&mut self.cells, later.cells, |cell| {
            [&cell.situation, &cell.engine, &cell.strategy].map(String::clone)
        });
        let name = |wall: &Wall| [&wall.file, &wall.change, &wall.engine, &wall.strategy].map(String::clone);
        replace(&mut self.walls, later.walls, name);
        replace(&mut self.keys, later.keys, |key| {
            [&key.question, &key.engine, &key.strategy].map(String::clone)
        });
        replace(&mut self.odd, later.odd, |odd| [&odd.input, &odd.engine, &odd.strategy].map(String::clone));
    }
}

/// One situation, built one way on one engine.
#[derive(Debug, Serialize, Deserialize)]
pub struct Cell {
    /// A name of [`SITUATIONS`](super::situation::SITUATIONS).
    pub situation: String,
    /// A name of [`Kind`](xtask::engines::Kind).
    pub engine: String,
    /// A name of [`STRATEGIES`](super::strategy::STRATEGIES).
    pub strategy: String,
    /// Why there are no runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_run: Option<String>,
    /// Each run, from an empty cache.
    pub runs: Vec<Run>,
}

/// One run of a situation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    /// How it ended.
    pub ended: Ended,
    /// How long it took.
    pub wall_ms: u64,
    /// How many steps found a cache empty that had been filled.
    pub empty: usize,
    /// How many records the engine keeps beyond one for each cache.
    pub forks: usize,
    /// Whether somebody said what is said where the situation's hazard strikes.
    pub told: bool,
    /// Of one that did not end well: what it ended with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Run {
    /// Whether it is broken by the situation's hazard, and not by something else.
    #[must_use]
    pub fn is_struck(&self) -> bool {
        self.ended == Ended::Hung || self.empty > 0 || self.forks > 0 || self.is_broken() && self.told
    }

    /// Whether the user would complain.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.ended != Ended::Well || self.empty > 0 || self.forks > 0
    }
}

/// How long a build took, again and again.
#[derive(Debug, Serialize, Deserialize)]
pub struct Wall {
    /// What had changed: `cold`.
    pub change: String,
    /// Of which file.
    pub file: String,
    /// On which engine.
    pub engine: String,
    /// By which strategy.
    pub strategy: String,
    /// Why there are no runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_run: Option<String>,
    /// Each run.
    pub walls_ms: Vec<u64>,
}

/// Whether what should be in the cache was.
#[derive(Debug, Serialize, Deserialize)]
pub struct Key {
    /// What was asked: `second build`.
    pub question: String,
    /// On which engine.
    pub engine: String,
    /// By which strategy.
    pub strategy: String,
    /// Why it could not be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_run: Option<String>,
    /// The steps that were in the cache, of those that should be.
    pub cached: usize,
    /// The steps that should be, and were not.
    pub missed: Vec<String>,
}

/// What became of odd input.
#[derive(Debug, Serialize, Deserialize)]
pub struct Odd {
    /// Which input.
    pub input: String,
    /// On which engine.
    pub engine: String,
    /// By which strategy.
    pub strategy: String,
    /// What became of it.
    pub run: Run,
}

/// The middle one of them, the later of two.
#[must_use]
pub fn median(walls: impl IntoIterator<Item = u64>) -> Option<u64> {
    let mut walls: Vec<_> = walls.into_iter().collect();
    walls.sort_unstable();
    walls.get(walls.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_later_takes_the_place_of_what_was_seen_before() {
        let cell = |strategy: &str, reason: &str| Cell {
            situation: "race".into(),
            engine: "docker-28.5".into(),
            strategy: strategy.into(),
            not_run: Some(reason.into()),
            runs: Vec::new(),
        };
        let raw = |cells| Raw { seconds: 60, cells, ..Raw::default() };
        let mut all = raw(vec![cell("auto", "before"), cell("lock", "before")]);
        all.update(raw(vec![cell("auto", "later"), cell("order", "later")]));
        let seen =
            all.cells.iter().map(|cell| (&*cell.strategy, cell.not_run.as_deref().unwrap_or_default()));
        assert_eq!(seen.collect::<Vec<_>>(), [("auto", "later"), ("lock", "before"), ("order", "later")]);
        assert_eq!(all.seconds, 120);
    }
}
