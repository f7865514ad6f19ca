//! What a storm saw, as it is kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// All of it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Raw {
    /// What was run on, and when.
    pub machine: Value,
    /// The engines, with their versions.
    pub engines: BTreeMap<String, String>,
    /// How long all of it took, in seconds.
    pub seconds: u64,
    /// Jobs beside a pruner, each side of each engine.
    pub storms: Vec<Storm>,
    /// Builds that were ended, of each engine.
    pub kills: Vec<Kills>,
}

/// Who keeps jobs and the pruner apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// ci-build.
    CiBuild,
    /// Nobody: the control.
    Without,
}

impl Side {
    /// As tables have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Without => "without ci-build",
            Self::CiBuild => "ci-build",
        }
    }
}

/// Jobs of one side on one engine. A job builds an image and runs a container of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Storm {
    /// A name of [`Kind`](xtask::engines::Kind).
    pub engine: String,
    /// Who keeps them apart.
    pub side: Side,
    /// How many loops ran at once.
    pub loops: usize,
    /// How many jobs there were.
    pub jobs: usize,
    /// How many builds failed.
    pub failed_builds: usize,
    /// How many found their image gone when they ran it, or failed in running it.
    pub failed_runs: usize,
    /// How many prunes ended well meanwhile.
    pub prunes: usize,
    /// How many did not.
    pub failed_prunes: usize,
    /// The longest that a prune took with its wait, in milliseconds.
    pub longest_prune_ms: u64,
    /// How often the engine died and was started anew.
    pub deaths: usize,
    /// How long it took, in seconds.
    pub seconds: u64,
    /// What failures said, the last line of each kind, and how often.
    pub errors: BTreeMap<String, usize>,
}

/// How a build is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// SIGINT to ci-build.
    Int,
    /// SIGTERM to ci-build.
    Term,
    /// SIGHUP to ci-build.
    Hup,
    /// SIGKILL to ci-build.
    Kill,
    /// SIGKILL to the job's shell above it.
    Orphan,
}

impl How {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Int, Self::Term, Self::Hup, Self::Kill, Self::Orphan];

    /// As tables have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Int => "SIGINT",
            Self::Term => "SIGTERM",
            Self::Hup => "SIGHUP",
            Self::Kill => "SIGKILL",
            Self::Orphan => "SIGKILL to the job",
        }
    }
}

/// Builds that were ended at random times, on one engine.
#[derive(Debug, Serialize, Deserialize)]
pub struct Kills {
    /// A name of [`Kind`](xtask::engines::Kind).
    pub engine: String,
    /// Where the random times began.
    pub seed: u64,
    /// Each of them.
    pub runs: Vec<Kill>,
    /// What was left after all of them and one more build: locks, processes, containers, files, leases.
    pub left: Vec<String>,
}

/// A build that was ended.
#[derive(Debug, Serialize, Deserialize)]
pub struct Kill {
    /// How.
    pub how: How,
    /// How long after its start, in milliseconds.
    pub after_ms: u64,
    /// How long until it and all that it had started were gone, in milliseconds; none if it never was.
    pub gone_ms: Option<u64>,
    /// Whether it had ended by itself before.
    pub was_over: bool,
}

impl Raw {
    /// In the place of those of the same engine.
    pub fn put_kills(&mut self, kills: Kills) {
        self.kills.retain(|earlier| earlier.engine != kills.engine);
        self.kills.push(kills);
        self.kills.sort_by(|one, other| one.engine.cmp(&other.engine));
    }

    /// In the place of that of the same engine and side.
    pub fn put_storm(&mut self, storm: Storm) {
        self.storms.retain(|earlier| (&earlier.engine, earlier.side) != (&storm.engine, storm.side));
        self.storms.push(storm);
        self.storms.sort_by(|one, other| (&one.engine, one.side).cmp(&(&other.engine, other.side)));
    }

    /// What is not as promised, and what tells nothing since its control did not fail.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let storms = self.storms.iter().filter(|storm| storm.side == Side::CiBuild);
        let broken = storms
            .filter(|storm| storm.failed_builds + storm.failed_runs + storm.failed_prunes + storm.deaths > 0);
        let broken = broken.map(|storm| format!("{}: jobs failed with ci-build", storm.engine));
        let controls = self.storms.iter().filter(|storm| storm.side == Side::Without);
        let idle = controls.filter(|storm| storm.failed_builds + storm.failed_runs + storm.deaths == 0);
        let idle = idle
            .map(|storm| format!("{}: nothing failed without ci-build: the control is none", storm.engine));
        let kills = self.kills.iter().flat_map(|kills| {
            let late = kills.runs.iter().filter(|kill| kill.gone_ms.is_none());
            let late = late.map(|kill| {
                format!("{}: {} after {} ms did not end it", kills.engine, kill.how.name(), kill.after_ms)
            });
            late.chain(kills.left.iter().map(|left| format!("{}: left: {left}", kills.engine)))
        });
        broken.chain(idle).chain(kills).collect()
    }
}
