//! For people, line by line.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Planned;
use crate::graph::{MountRef, StepIndex};
use crate::plan::Strategy;
use crate::report::advice::advice;
use crate::report::escape::{plain, short};

/// The stages with their steps and caches, the hazards, and what changes.
#[must_use]
pub fn text(planned: &Planned<'_>) -> String {
    let mut text = planned.headline() + "\n";
    // Writing to a string does not fail.
    let _ = steps(planned, &mut text)
        .and_then(|()| hazards(planned, &mut text))
        .and_then(|()| guarded(planned, &mut text));
    text
}

fn steps(planned: &Planned<'_>, text: &mut String) -> std::fmt::Result {
    let graph = planned.graph;
    let mut by_stage = BTreeMap::<_, Vec<StepIndex>>::new();
    for step in planned.steps() {
        by_stage.entry(graph.step(step).stage.as_deref()).or_default().push(step);
    }
    let mut after = BTreeMap::<_, Vec<StepIndex>>::new();
    for (before, step) in planned.orders() {
        after.entry(step).or_default().push(before);
    }
    for stage in graph.stages() {
        let Some(steps) = by_stage.remove(&Some(&*stage.name)) else { continue };
        writeln!(text, "\nstage {} (FROM {}, line {})", plain(&stage.name), plain(&stage.base), stage.line)?;
        for step in steps {
            let at = graph.step(step);
            let line =
                at.location.as_ref().map_or(String::new(), |location| format!(" line {}:", location.line));
            writeln!(text, "  {}{line} {}", plain(&at.id), short(&at.title, 80))?;
            for (mount, _, cache) in at.caches() {
                writeln!(text, "      {}: {}", cache.key, planned.sharing(MountRef { step, mount }))?;
            }
            for before in after.get(&step).into_iter().flatten() {
                writeln!(text, "      after {}", plain(&graph.step(*before).id))?;
            }
        }
    }
    Ok(())
}

fn hazards(planned: &Planned<'_>, text: &mut String) -> std::fmt::Result {
    for mended in &planned.plan.mended {
        let finding = &mended.finding;
        writeln!(text, "\n{}[{}]: {}", finding.severity, finding.rule.name, plain(&finding.message))?;
        writeln!(text, "  steps: {}", names(planned, finding.mounts()))?;
        match mended.strategy {
            Strategy::None => writeln!(text, "  {}", mended.strategy)?,
            strategy => writeln!(text, "  {strategy}: {}", advice(mended))?,
        }
    }
    Ok(())
}

/// What no rule finds: caches that other builds may use.
fn guarded(planned: &Planned<'_>, text: &mut String) -> std::fmt::Result {
    for guarded in &planned.plan.guarded {
        writeln!(text, "\nother builds of the host may use the cache {} at the same time", guarded.cache)?;
        writeln!(text, "  steps: {}", names(planned, guarded.mounts.iter().copied()))?;
        writeln!(text, "  lock: the build that comes second waits")?;
    }
    Ok(())
}

/// The steps of some mounts, as many as can be looked at.
fn names(planned: &Planned<'_>, mounts: impl Iterator<Item = MountRef>) -> String {
    let mut steps: Vec<_> = mounts.map(|at| &*planned.graph.step(at.step).id).collect();
    steps.dedup();
    let more = steps.len().saturating_sub(MOST);
    steps.truncate(MOST);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{}{more}", plain(&steps.join(", ")))
}

/// How many steps of a hazard are named.
const MOST: usize = 12;
