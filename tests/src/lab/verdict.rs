//! What a laboratory saw, held against what is promised.

use xtask::build::Ended;

use super::matrix;
use super::raw::{LABORATORY_FAILED, Raw};
use super::situation::SITUATIONS;
use super::strategy::Strategy;
use super::{keys, walls};

/// Everything that is not as promised, a line each. What an engine or the machine cannot do is not in it: see [`not_run`].
pub(super) fn complaints(raw: &Raw) -> Vec<String> {
    let mut unseen = not_run(raw);
    unseen.retain(|line| line.contains(LABORATORY_FAILED));
    [promises(raw), controls(raw), slow(raw), lost(raw), stuck(raw), unseen].concat()
}

/// A strategy that is promised to mend leaves nothing broken where it can help.
fn promises(raw: &Raw) -> Vec<String> {
    let held = raw.cells.iter().filter(|cell| {
        let is_promised = Strategy::named(&cell.strategy).is_some_and(|strategy| strategy.is_promised);
        let situation = SITUATIONS.iter().find(|situation| situation.name == cell.situation);
        is_promised && situation.is_some_and(|situation| situation.reason(&cell.strategy).is_none())
    });
    held.filter(|cell| cell.runs.iter().any(|run| run.is_broken()))
        .map(|cell| format!("{} {}, {}: {}", cell.engine, cell.situation, cell.strategy, matrix::shown(cell)))
        .collect()
}

/// Upstream breaks as often as the situation says, or the others have shown nothing.
fn controls(raw: &Raw) -> Vec<String> {
    let mut complaints = Vec::new();
    for cell in raw.cells.iter().filter(|cell| cell.strategy == "upstream" && !cell.runs.is_empty()) {
        let Some(situation) = SITUATIONS.iter().find(|situation| situation.name == cell.situation) else {
            continue;
        };
        let (of, broken) = (cell.runs.len(), cell.runs.iter().filter(|run| run.is_struck()).count());
        let (least, among) = situation.control;
        // Rounded down, and at least one.
        let least = (of.saturating_mul(least) / among).max(1);
        if broken < least {
            complaints.push(format!(
                "{} {}: upstream broke {broken} of {of} times, not {least}: the control is none",
                cell.engine, cell.situation
            ));
        }
    }
    complaints
}

fn slow(raw: &Raw) -> Vec<String> {
    let slow = walls::ratios(raw).into_iter().filter(|ratio| ratio.ratio > ratio.limit);
    slow.map(|walls::Ratio { auto, beside, ratio, limit }| {
        format!(
            "{} {}, {}: auto takes {ratio:.2} times what {beside} takes, not {limit}",
            auto.engine, auto.file, auto.change
        )
    })
    .collect()
}

fn lost(raw: &Raw) -> Vec<String> {
    let lost = raw.keys.iter().filter(|key| keys::is_loss(key, &raw.keys));
    lost.map(|key| format!("{} {}, {}: {}", key.engine, key.question, key.strategy, keys::shown(key)))
        .collect()
}

/// A hang, or a failure of ours that is not told as one.
fn stuck(raw: &Raw) -> Vec<String> {
    let ours = raw.odd.iter().filter(|odd| odd.strategy != "upstream");
    let bad = ours.filter(|odd| match odd.run.ended {
        Ended::Well => false,
        Ended::Failed => odd.run.error.as_deref().is_none_or(is_no_answer),
        Ended::Hung => true,
    });
    bad.map(|odd| {
        format!("{} {}, {}: {:?} {:?}", odd.engine, odd.input, odd.strategy, odd.run.ended, odd.run.error)
    })
    .collect()
}

/// A panic, or an end of the frontend's process without a word.
fn is_no_answer(error: &str) -> bool {
    error.contains("panic") || error.ends_with("exit code: 125")
}

/// Everything that there are no results of, and why.
pub(super) fn not_run(raw: &Raw) -> Vec<String> {
    let cells = raw.cells.iter().map(|cell| (&cell.engine, &cell.situation, &cell.strategy, &cell.not_run));
    let walls = raw.walls.iter().map(|wall| (&wall.engine, &wall.file, &wall.strategy, &wall.not_run));
    let keys = raw.keys.iter().map(|key| (&key.engine, &key.question, &key.strategy, &key.not_run));
    let all = cells.chain(walls).chain(keys);
    all.filter_map(|(engine, what, strategy, why)| {
        Some(format!("{engine} {what}, {strategy}: {}", why.as_ref()?))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::raw::{Cell, Odd, Run, Wall};

    fn run(ended: Ended, forks: usize) -> Run {
        Run { ended, wall_ms: 1, empty: 0, forks, told: ended == Ended::Failed, error: None }
    }

    fn cell(situation: &str, strategy: &str, runs: Vec<Run>) -> Cell {
        Cell {
            situation: situation.into(),
            engine: "e".into(),
            strategy: strategy.into(),
            not_run: None,
            runs,
        }
    }

    fn wall(strategy: &str, walls_ms: Vec<u64>) -> Wall {
        let (change, file, engine) = ("cold".into(), "walls".into(), "e".into());
        Wall { change, file, engine, strategy: strategy.into(), not_run: None, walls_ms }
    }

    #[test]
    fn each_broken_promise_is_named() {
        let raw = Raw {
            cells: vec![
                cell("race-two", "upstream", vec![run(Ended::Well, 0); 5]),
                cell("race-two", "auto", vec![run(Ended::Well, 0), run(Ended::Well, 1), run(Ended::Hung, 0)]),
                cell("race-two", "lock", vec![run(Ended::Failed, 0)]),
                cell("two-builds", "auto", vec![run(Ended::Failed, 0)]),
                cell(
                    "nested-two",
                    "upstream",
                    [vec![run(Ended::Failed, 0); 28], vec![run(Ended::Well, 0); 2]].concat(),
                ),
                cell(
                    "nested-eight",
                    "upstream",
                    [vec![run(Ended::Failed, 0); 29], vec![run(Ended::Well, 0); 1]].concat(),
                ),
            ],
            walls: vec![
                wall("auto", vec![120, 100, 500]),
                wall("lock", vec![100; 3]),
                wall("order", vec![110; 3]),
            ],
            odd: vec![Odd {
                input: "x".into(),
                engine: "e".into(),
                strategy: "auto".into(),
                run: run(Ended::Hung, 0),
            }],
            ..Raw::default()
        };
        insta::assert_snapshot!(complaints(&raw).join("\n"), @r"
        e race-two, auto: 2 of 3 broken (hung 1, forked 1), 0.0 s
        e race-two: upstream broke 0 of 5 times, not 4: the control is none
        e nested-two: upstream broke 28 of 30 times, not 29: the control is none
        e walls, cold: auto takes 1.20 times what lock takes, not 1.1
        e x, auto: Hung None
        ");
    }
}
