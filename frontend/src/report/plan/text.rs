//! For people, line by line.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Planned;
use super::outline::stage_of;
use super::wording::fate;
use crate::graph::{MountRef, StepIndex};
use crate::plan::Strategy;
use crate::report::advice::advice;
use crate::report::check::counted;
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
        by_stage.entry(stage_of(graph, step)).or_default().push(step);
    }
    let mut after = BTreeMap::<_, Vec<StepIndex>>::new();
    for (before, step) in planned.orders() {
        after.entry(step).or_default().push(before);
    }
    let primer = planned.plan.primer.as_ref();
    if let Some(primer) = primer {
        writeln!(text, "\nprimer, a step of ours that runs first")?;
        for cache in primer.mounts.iter().filter_map(|at| graph.mount(*at).cache.as_ref()) {
            writeln!(text, "      {}", cache.key)?;
        }
    }
    let bare = graph.stages().len().saturating_sub(by_stage.keys().flatten().count());
    for (stage, steps) in by_stage {
        match stage.map(|stage| &graph.stages()[stage]) {
            Some(stage) => {
                writeln!(
                    text,
                    "\nstage {} (FROM {}, line {})",
                    plain(&stage.name),
                    plain(&stage.base),
                    stage.line
                )?;
            }
            None => writeln!(text)?,
        }
        for step in steps {
            let at = graph.step(step);
            let line =
                at.location.as_ref().map_or(String::new(), |location| format!(" line {}:", location.line));
            writeln!(text, "  {}{line} {}", plain(&at.id), short(&at.title, 80))?;
            for (mount, _, cache) in at.caches() {
                let at = MountRef { step, mount };
                let id = planned.new_id(at).map_or(String::new(), |id| format!(", id → {id}"));
                writeln!(text, "      {}: {}{id}", cache.key, planned.sharing(at))?;
            }
            if primer.is_some_and(|primer| primer.before.contains(&step)) {
                writeln!(text, "      after the primer")?;
            }
            for before in after.get(&step).into_iter().flatten() {
                writeln!(text, "      after {}", plain(&graph.step(*before).id))?;
            }
        }
    }
    if bare > 0 {
        writeln!(text, "\n{} without caches", counted(bare, "stage"))?;
    }
    Ok(())
}

fn hazards(planned: &Planned<'_>, text: &mut String) -> std::fmt::Result {
    for mended in &planned.plan.mended {
        let finding = &mended.finding;
        writeln!(text, "\n{}[{}]: {}", finding.severity, finding.rule.name, plain(&finding.message))?;
        writeln!(text, "  steps: {}", names(planned, finding.mounts()))?;
        match mended.strategy {
            Strategy::None => writeln!(text, "  {}", fate(mended))?,
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
