//! For scripts: one document.

use std::collections::BTreeSet;
use std::rc::Rc;

use serde::Serialize;

use super::Planned;
use crate::graph::{BuildGraph, StepIndex};
use crate::report::check::{Finding, document, finding};

#[derive(Serialize)]
struct Document<'p> {
    schema: u32,
    stages: Vec<Stage<'p>>,
    steps: Vec<Step<'p>>,
    edges: Vec<Edge<'p>>,
    findings: Vec<Finding<'p>>,
    changes: Vec<Change<'p>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    primer: Option<Primer<'p>>,
}

#[derive(Serialize)]
struct Stage<'p> {
    name: &'p str,
    index: usize,
    base: &'p str,
    line: u32,
}

#[derive(Serialize)]
struct Step<'p> {
    id: &'p str,
    stage: Option<&'p str>,
    line: Option<u32>,
    mounts: Vec<Mount<'p>>,
}

#[derive(Serialize)]
struct Mount<'p> {
    cache: String,
    target: &'p str,
    sharing: &'static str,
    readonly: bool,
}

#[derive(Serialize)]
struct Edge<'p> {
    from: &'p str,
    to: &'p str,
}

#[derive(Serialize)]
struct Change<'p> {
    step: &'p str,
    cache: String,
    strategy: String,
    after: Vec<&'p str>,
}

#[derive(Serialize)]
struct Primer<'p> {
    caches: Vec<String>,
    before: Vec<&'p str>,
}

/// `{"schema":1,"stages":[…],"steps":[…],"edges":[…],"findings":[…],"changes":[…]}` on one line. The steps are those that
/// mount caches, the edges lead from each to the next such steps that need it. Where the plan has a step of its own,
/// `"primer":{"caches":[…],"before":[…]}` is last.
#[must_use]
pub fn json(planned: &Planned<'_>) -> String {
    let graph = planned.graph;
    let id = |step: StepIndex| &*graph.step(step).id;
    let stages = graph.stages().iter();
    let steps = planned.steps();
    let below = below(graph);
    document(&Document {
        schema: 1,
        stages: stages
            .map(|stage| Stage { name: &stage.name, index: stage.index, base: &stage.base, line: stage.line })
            .collect(),
        edges: steps
            .iter()
            .flat_map(|from| below[from.index()].iter().map(|to| Edge { from: id(*from), to: id(*to) }))
            .collect(),
        steps: steps.into_iter().map(|index| step(graph, index)).collect(),
        findings: planned.plan.mended.iter().map(|mended| finding(graph, mended)).collect(),
        changes: planned
            .changes
            .iter()
            .map(|change| Change {
                step: id(change.step),
                cache: change.cache.to_string(),
                strategy: change.strategy.to_string(),
                after: change.after.iter().map(|step| id(*step)).collect(),
            })
            .collect(),
        primer: planned.plan.primer.as_ref().map(|primer| Primer {
            caches: primer
                .mounts
                .iter()
                .filter_map(|at| Some(graph.mount(*at).cache.as_ref()?.key.to_string()))
                .collect(),
            before: primer.before.iter().map(|step| id(*step)).collect(),
        }),
    })
}

fn step(graph: &BuildGraph, index: StepIndex) -> Step<'_> {
    let step = graph.step(index);
    Step {
        id: &step.id,
        stage: step.stage.as_deref(),
        line: step.location.as_ref().map(|location| location.line),
        mounts: step
            .caches()
            .map(|(_, mount, cache)| Mount {
                cache: cache.key.to_string(),
                target: &mount.target,
                sharing: cache.sharing.name(),
                readonly: mount.readonly,
            })
            .collect(),
    }
}

/// For each step, by its handle, the nearest steps with caches that need it. Steps in a row share one set.
fn below(graph: &BuildGraph) -> Vec<Rc<BTreeSet<StepIndex>>> {
    let none = Rc::new(BTreeSet::new());
    let mut below: Vec<_> = graph.steps().map(|_| Rc::clone(&none)).collect();
    for (index, _) in graph.steps().rev() {
        let mut sets: Vec<Rc<BTreeSet<StepIndex>>> = Vec::new();
        for next in graph.dependents(index) {
            let set = if graph.step(next).caches().next().is_some() {
                Rc::new(BTreeSet::from([next]))
            } else {
                Rc::clone(&below[next.index()])
            };
            if !set.is_empty() && !sets.iter().any(|other| Rc::ptr_eq(other, &set)) {
                sets.push(set);
            }
        }
        below[index.index()] = match sets.pop() {
            None => continue,
            Some(only) if sets.is_empty() => only,
            Some(last) => Rc::new(sets.iter().chain([&last]).flat_map(|set| set.iter().copied()).collect()),
        };
    }
    below
}
