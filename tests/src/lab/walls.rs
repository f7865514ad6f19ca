//! How long builds take in which nothing fails, by each strategy: the price of safety.

use anyhow::{Result, bail};
use xtask::build::{self, Outcome};
use xtask::engines::Kind;

use super::raw::{Raw, Wall, median};
use super::situation::lab_file;
use super::strategy::Strategy;
use super::{Selection, whole_ms};
use crate::Subject;

/// Where it is measured: the newest engine, with both of its stores.
const ENGINES: [Kind; 2] = [Kind::Docker28_5, Kind::Docker28_5Containerd];

/// A file, the builds of it one after the other, and who builds it.
struct Series {
    file: &'static str,
    builds: &'static [Change],
    strategies: &'static [&'static str],
    /// For each run of the laboratory so many.
    times: usize,
}

/// What has changed since the build before.
struct Change {
    name: &'static str,
    /// The build arguments that get a new value.
    arguments: &'static [&'static str],
    /// So often in a row: what takes a quarter of a second swings by more than a tenth of it.
    times: usize,
}

/// From an empty cache on, a build for each situation in which people build.
const FIVE: &[Change] = &[
    Change { name: "cold", arguments: &["FIRST", "LAST", "AFTER"], times: 1 },
    Change { name: "all cached", arguments: &[], times: 4 },
    Change { name: "first stage changed", arguments: &["FIRST"], times: 1 },
    Change { name: "last stage changed", arguments: &["LAST"], times: 1 },
    Change { name: "what follows changed", arguments: &["AFTER"], times: 1 },
];

static SERIES: [Series; 4] = [
    Series {
        file: "walls",
        builds: FIVE,
        strategies: &["upstream", "auto", "lock", "order", "namespace"],
        times: 1,
    },
    Series { file: "walls-late", builds: FIVE, strategies: &["upstream", "auto", "lock", "order"], times: 1 },
    Series {
        file: "walls-behind",
        builds: FIVE,
        strategies: &["upstream", "auto", "lock", "order"],
        times: 1,
    },
    Series {
        file: "nested-eight",
        builds: &[Change { name: "cold", arguments: &[], times: 1 }],
        strategies: &["upstream", "auto", "lock", "order", "prime"],
        times: 2,
    },
];

/// The names of the files.
pub(super) fn files() -> impl Iterator<Item = &'static str> {
    SERIES.iter().map(|series| series.file)
}

/// How much longer than the fastest safe strategy `auto` may take, where upstream is unsafe.
const AUTO: f64 = 1.10;
/// How much longer than upstream's unsafe build, where mountpoints race.
const NESTED: f64 = 1.15;

/// All series of an engine, run by run one strategy after the other, each time from another one on: what a build leaves behind
/// in an engine is not to be the next strategy's alone.
///
/// # Errors
/// When a build fails: nothing here can break.
pub(super) fn run(subject: &Subject, selection: &Selection) -> Result<Vec<Wall>> {
    let mut walls = Vec::new();
    if !ENGINES.contains(&subject.engine.kind()) {
        return Ok(walls);
    }
    for series in SERIES.iter().filter(|series| selection.has_file(series.file)) {
        let strategies = series.strategies.iter().filter_map(|name| Strategy::named(name));
        let strategies: Vec<_> =
            strategies.filter(|strategy| selection.has_strategy(strategy.name)).collect();
        let first = walls.len();
        for (strategy, change) in
            strategies.iter().flat_map(|strategy| series.builds.iter().map(move |change| (strategy, change)))
        {
            walls.push(Wall {
                change: change.name.to_owned(),
                file: series.file.to_owned(),
                engine: subject.engine.kind().name().to_owned(),
                strategy: strategy.name.to_owned(),
                not_run: None,
                walls_ms: Vec::new(),
            });
        }
        for round in 0..selection.usual_runs(subject.engine.kind()) * series.times {
            for turn in 0..strategies.len() {
                let place = (round + turn) % strategies.len();
                let first = first + place * series.builds.len();
                let walls = &mut walls[first..first + series.builds.len()];
                if walls[0].not_run.is_none() {
                    one_after_the_other(subject, series, strategies[place], round, walls)?;
                }
            }
        }
        for wall in &walls[first..] {
            eprintln!(
                "{} {}, {}, {}: {:?} ms",
                wall.engine, wall.file, wall.change, wall.strategy, wall.walls_ms
            );
        }
    }
    Ok(walls)
}

/// The builds of a series from an empty cache on.
fn one_after_the_other(
    subject: &Subject,
    series: &Series,
    strategy: &Strategy,
    round: usize,
    walls: &mut [Wall],
) -> Result<()> {
    build::forget(&subject.client)?;
    let mut values = std::collections::BTreeMap::new();
    for (change, wall) in series.builds.iter().zip(walls) {
        for argument in change.arguments {
            values.insert(*argument, format!("{}-{round}-{}", strategy.name, change.name));
        }
        for _ in 0..change.times {
            let build = strategy.build(subject, &lab_file(series.file))?;
            let build = values.iter().fold(build, |build, (argument, value)| {
                build.argument(&format!("--build-arg={argument}={value}"))
            });
            let outcome: Outcome = build.run()?;
            if let Some(words) = strategy.refusal(&outcome) {
                wall.not_run = Some(words.trim().to_owned());
                return Ok(());
            }
            if !outcome.succeeded() {
                let (file, change, name) = (series.file, change.name, strategy.name);
                bail!("{file}, {change}, by {name}: {:?}\n{}", outcome.ended, outcome.output);
            }
            wall.walls_ms.push(whole_ms(outcome.wall));
        }
    }
    Ok(())
}

/// A promise about `auto`: the fastest of those that it is compared with, how it compares, and how it may.
#[derive(Debug)]
pub(super) struct Ratio<'r> {
    pub(super) auto: &'r Wall,
    pub(super) beside: &'r str,
    pub(super) ratio: f64,
    pub(super) limit: f64,
}

/// `auto` beside the fastest strategy that is safe and lets the cache be shared; where mountpoints race, beside upstream.
pub(super) fn ratios(raw: &Raw) -> Vec<Ratio<'_>> {
    let of = |wall: &Wall| median(wall.walls_ms.iter().copied());
    let autos = raw.walls.iter().filter(|wall| wall.strategy == "auto");
    let ratio = |auto: &'_ Wall| -> Option<(&'_ str, f64, f64)> {
        let nested = auto.file == "nested-eight";
        let same =
            |wall: &&Wall| wall.engine == auto.engine && wall.file == auto.file && wall.change == auto.change;
        let is_beside = |wall: &&Wall| match nested {
            true => wall.strategy == "upstream",
            false => ["lock", "order"].contains(&&*wall.strategy),
        };
        let walls = raw.walls.iter().filter(same).filter(is_beside);
        let (fastest, strategy) = walls.filter_map(|wall| Some((of(wall)?, &*wall.strategy))).min()?;
        let ratio = of(auto)? as f64 / fastest as f64;
        let name = ["upstream", "lock", "order"].into_iter().find(|name| *name == strategy)?;
        Some((name, ratio, if nested { NESTED } else { AUTO }))
    };
    autos
        .filter_map(|auto| {
            let (beside, ratio, limit) = ratio(auto)?;
            Some(Ratio { auto, beside, ratio, limit })
        })
        .collect()
}
