//! Situation × strategy on one engine.

use anyhow::Result;
use xtask::build::Ended;
use xtask::emulation::Emulation;

use super::Selection;
use super::racing_runc::RacingRunc;
use super::raw::{Cell, LABORATORY_FAILED, Run, median};
use super::situation::{Course, SITUATIONS, Situation};
use super::strategy::Strategy;
use super::trial::{self, Trial};
use crate::Subject;

/// All cells of an engine that are asked for, one situation after the other to `keep`. `emulation` is needed for two platforms.
///
/// # Errors
/// When something fails that no cell can be blamed for, or that of `keep`.
pub(super) fn run(
    subject: &Subject,
    selection: &Selection,
    emulation: &Result<Emulation, String>,
    mut keep: impl FnMut(Vec<Cell>) -> Result<()>,
) -> Result<()> {
    let kind = subject.engine.kind();
    for situation in SITUATIONS.iter().filter(|situation| selection.has_situation(situation.name)) {
        if !situation.is_for(kind) {
            continue;
        }
        let strategies = situation.strategies.iter().filter_map(|name| Strategy::named(name));
        let strategies: Vec<_> =
            strategies.filter(|strategy| selection.has_strategy(strategy.name)).collect();
        let new = |strategy: &&Strategy| Cell {
            situation: situation.name.to_owned(),
            engine: kind.name().to_owned(),
            strategy: strategy.name.to_owned(),
            not_run: None,
            runs: Vec::new(),
        };
        let mut of_situation: Vec<_> = strategies.iter().map(new).collect();
        match (situation.course, emulation) {
            (Course::TwoPlatforms, Err(reason)) => {
                of_situation.iter_mut().for_each(|cell| cell.not_run = Some(reason.clone()));
            }
            _ => fill(subject, selection, situation, &strategies, &mut of_situation)?,
        }
        for cell in &of_situation {
            eprintln!("{} {}, {}: {}", cell.engine, cell.situation, cell.strategy, shown(cell));
        }
        keep(of_situation)?;
    }
    Ok(())
}

/// Run by run, one after the other all strategies, so that what else the machine does falls on all of them alike.
fn fill(
    subject: &Subject,
    selection: &Selection,
    situation: &Situation,
    strategies: &[&Strategy],
    cells: &mut [Cell],
) -> Result<()> {
    let _racing = situation.racing_runc.then(|| RacingRunc::put_before(&subject.engine)).transpose()?;
    let runs = |strategy: &Strategy| selection.runs(subject.engine.kind(), situation, strategy);
    let most = strategies.iter().map(|strategy| runs(strategy)).max().unwrap_or_default();
    for number in 0..most {
        for (strategy, cell) in strategies.iter().zip(&mut *cells) {
            if number >= runs(strategy) || cell.not_run.is_some() {
                continue;
            }
            match trial::run(subject, situation, strategy) {
                Ok(Trial::Ran(run)) => cell.runs.push(run),
                Ok(Trial::Refused(words)) => cell.not_run = Some(words),
                // One cell must not cost the others.
                Err(error) => cell.not_run = Some(format!("{LABORATORY_FAILED}: {error:#}")),
            }
        }
    }
    Ok(())
}

/// A cell in a few words.
pub(super) fn shown(cell: &Cell) -> String {
    if let Some(reason) = &cell.not_run {
        return format!("NOT RUN: {reason}");
    }
    let Some(median) = median(cell.runs.iter().map(|run| run.wall_ms)) else { return "no runs".to_owned() };
    let broken = cell.runs.iter().filter(|run| run.is_broken()).count();
    let walls = format!("{:.1} s", median as f64 / 1000.0);
    if broken == 0 {
        return format!("{} of {0} fine, {walls}", cell.runs.len());
    }
    format!("{} of {} broken ({}), {walls}", broken, cell.runs.len(), how(&cell.runs))
}

/// In which ways runs are broken, each with how many are.
fn how(runs: &[Run]) -> String {
    let count = |way, is: fn(&Run) -> bool| (way, runs.iter().filter(|run| is(run)).count());
    let counts = [
        count("failed", |run| run.ended == Ended::Failed),
        count("hung", |run| run.ended == Ended::Hung),
        count("empty", |run| run.empty > 0),
        count("forked", |run| run.forks > 0),
    ];
    let seen = counts.iter().filter(|(_, count)| *count > 0);
    seen.map(|(way, count)| format!("{way} {count}")).collect::<Vec<_>>().join(", ")
}
