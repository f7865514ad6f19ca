//! What the prune laboratory saw, as it is kept.

use std::collections::{BTreeMap, HashSet};

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

/// What becomes of what was seen earlier of the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Earlier {
    /// It makes place for what is seen now.
    Goes,
    /// It counts together with what is seen now.
    Counts,
}

/// As many different messages as tell enough.
pub fn some_of(messages: &mut Vec<String>) {
    messages.sort();
    let mut seen = HashSet::new();
    messages.retain(|message| seen.insert(gist(message)));
    messages.truncate(5);
}

/// What a message says, whatever image, port, id or time it is about: those are words with a digit.
fn gist(message: &str) -> String {
    let words = message.split(|mark: char| !mark.is_alphanumeric() && !"-_".contains(mark));
    let words = words.map(|word| if word.contains(|mark: char| mark.is_ascii_digit()) { "#" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// Keeps what was seen: in the place of what was seen earlier of the same, together with it, or beside all others.
fn put<T>(all: &mut Vec<T>, seen: T, earlier: Earlier, is_same: fn(&T, &T) -> bool, count: fn(&mut T, T)) {
    match all.iter_mut().find(|kept| is_same(kept, &seen)) {
        Some(kept) if earlier == Earlier::Counts => count(kept, seen),
        Some(kept) => *kept = seen,
        None => all.push(seen),
    }
}

impl Raw {
    /// Keeps what was seen of an engine beside a pruner.
    pub fn put_load(&mut self, load: Load, earlier: Earlier) {
        let is_same = |kept: &Load, load: &Load| (&kept.engine, &kept.pruner) == (&load.engine, &load.pruner);
        put(&mut self.loads, load, earlier, is_same, Load::count);
        // The pruners of an engine stay in their order.
        self.loads.sort_by(|one, other| one.engine.cmp(&other.engine));
    }

    /// Keeps what became of an engine's killed prunes.
    pub fn put_kills(&mut self, kills: Kills, earlier: Earlier) {
        put(&mut self.kills, kills, earlier, |kept, kills| kept.engine == kills.engine, Kills::count);
        self.kills.sort_by(|one, other| one.engine.cmp(&other.engine));
    }
}

impl Load {
    fn count(&mut self, later: Self) {
        self.seconds += later.seconds;
        self.prunes += later.prunes;
        self.deleted += later.deleted;
        self.failed_prunes.extend(later.failed_prunes);
        some_of(&mut self.failed_prunes);
        self.has_died |= later.has_died;
        for (kind, jobs) in later.jobs {
            let kept = self.jobs.entry(kind).or_default();
            kept.all += jobs.all;
            kept.failed += jobs.failed;
            kept.said.extend(jobs.said);
            some_of(&mut kept.said);
        }
    }
}

impl Kills {
    fn count(&mut self, later: Self) {
        self.all += later.all;
        self.killed += later.killed;
        self.between += later.between;
        self.complaints.extend(later.complaints);
        some_of(&mut self.complaints);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(failed: usize) -> Load {
        let said =
            (0..failed).map(|number| format!("no such image: 127.0.0.1:5000/small:{number}")).collect();
        Load {
            engine: "docker-28.5".into(),
            pruner: "nobody".into(),
            seconds: 2,
            prunes: 3,
            deleted: 4,
            failed_prunes: Vec::new(),
            has_died: failed > 0,
            jobs: [("pull then run".to_owned(), Jobs { all: 10, failed, said })].into(),
        }
    }

    #[test]
    fn what_was_seen_earlier_counts_or_goes() {
        let mut raw = Raw::default();
        raw.put_load(load(2), Earlier::Counts);
        raw.put_load(load(1), Earlier::Counts);
        let [kept] = &*raw.loads else { panic!("{:?}", raw.loads) };
        assert_eq!((kept.seconds, kept.prunes, kept.deleted, kept.has_died), (4, 6, 8, true));
        let jobs = &kept.jobs["pull then run"];
        assert_eq!(
            (jobs.all, jobs.failed, &*jobs.said),
            (20, 3, &["no such image: 127.0.0.1:5000/small:0".to_owned()][..])
        );
        raw.put_load(load(0), Earlier::Goes);
        let [kept] = &*raw.loads else { panic!("{:?}", raw.loads) };
        assert_eq!((kept.seconds, kept.has_died, kept.jobs["pull then run"].all), (2, false, 10));
        for (earlier, all) in [(Earlier::Counts, 5), (Earlier::Counts, 10), (Earlier::Goes, 5)] {
            let kills =
                Kills { engine: "docker-28.5".into(), all: 5, killed: 4, between: 3, complaints: vec![] };
            raw.put_kills(kills, earlier);
            assert_eq!(raw.kills.iter().map(|kills| kills.all).collect::<Vec<_>>(), [all]);
        }
    }
}
