//! What plans leave and what they touch.

use std::collections::BTreeSet;

use ci_build_frontend::graph::{BuildGraph, CacheKey, Mount, Sharing, Step};
use ci_build_frontend::hazard::{self, Finding, Severity};
use ci_build_frontend::llb::{self, Definition, WriteError};
use ci_build_frontend::plan::{Plan, Policy};
use proptest::prelude::*;

use crate::build::{MIXED, builds};
use crate::definition::{Model, definitions, number};
use crate::message::{Field, Message, Value};

const MENDING: [Policy; 3] = [Policy::Auto, Policy::Lock, Policy::Namespace];

/// The hazards that a policy may not leave.
fn unmended(graph: &BuildGraph, policy: Policy) -> Vec<Finding> {
    let mut findings = hazard::find(graph);
    findings.retain(|finding| policy != Policy::Auto || finding.severity != Severity::Note);
    findings
}

fn steps(graph: &BuildGraph) -> Vec<&Step> {
    graph.steps().map(|(_, step)| step).collect()
}

/// The caches whose locks a step holds together, where they are several.
fn held_together(step: &Step) -> BTreeSet<&CacheKey> {
    let locked = step.caches().filter(|(_, _, cache)| cache.sharing == Sharing::Locked);
    let keys: BTreeSet<_> = locked.map(|(_, _, cache)| &cache.key).collect();
    if keys.len() > 1 { keys } else { BTreeSet::new() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn no_hazard_is_left(graph in builds(MIXED)) {
        for policy in MENDING {
            let left = unmended(&Plan::of(&graph, policy).apply(&graph), policy);
            prop_assert!(left.is_empty(), "{policy}: {left:?}");
        }
    }

    #[test]
    fn a_plan_says_what_it_mends(graph in builds(MIXED)) {
        for policy in MENDING {
            let mended: Vec<_> = Plan::of(&graph, policy).mended.into_iter().map(|mended| mended.finding).collect();
            prop_assert_eq!(mended, hazard::find(&graph));
        }
    }

    #[test]
    fn without_hazards_or_with_off_nothing_changes(graph in builds(MIXED)) {
        prop_assert_eq!(Plan::of(&graph, Policy::Off), Plan::default());
        for policy in MENDING {
            if unmended(&graph, policy).is_empty() {
                prop_assert!(Plan::of(&graph, policy).edits.is_empty(), "{policy}");
            }
        }
    }

    #[test]
    fn planning_again_is_the_same_and_planning_the_planned_changes_nothing(graph in builds(MIXED)) {
        for policy in MENDING {
            let plan = Plan::of(&graph, policy);
            prop_assert_eq!(&plan, &Plan::of(&graph, policy));
            let again = Plan::of(&plan.apply(&graph), policy);
            prop_assert!(again.edits.is_empty(), "{policy}: {:?}", again.edits);
        }
    }

    #[test]
    fn a_plan_changes_ids_modes_and_the_order_of_mounts_alone(graph in builds(MIXED)) {
        for policy in MENDING {
            let planned = Plan::of(&graph, policy).apply(&graph);
            for (before, after) in steps(&graph).into_iter().zip(steps(&planned)) {
                let strip = |step: &Step| {
                    let mut step = step.clone();
                    for cache in step.mounts.iter_mut().filter_map(|mount| mount.cache.as_mut()) {
                        cache.key.id.clear();
                        cache.sharing = Sharing::Shared;
                    }
                    step.mounts.sort_by_key(|mount| format!("{mount:?}"));
                    step
                };
                prop_assert_eq!(strip(before), strip(after));
                // Only caches change their places.
                for (before, after) in before.mounts.iter().zip(&after.mounts) {
                    prop_assert_eq!(before.cache.is_some(), after.cache.is_some());
                }
            }
        }
    }

    #[test]
    fn a_plan_touches_what_is_connected_to_a_hazard_alone(graph in builds(MIXED)) {
        for policy in MENDING {
            let plan = Plan::of(&graph, policy);
            let planned = plan.apply(&graph);
            // The caches of hazards, before the plan and under the names that it gives them.
            let hazardous = unmended(&graph, policy).into_iter().flat_map(|finding| finding.caches);
            let mut connected: BTreeSet<CacheKey> = hazardous.collect();
            for (before, after) in steps(&graph).into_iter().zip(steps(&planned)) {
                if before.caches().any(|(_, _, cache)| connected.contains(&cache.key)) {
                    connected.extend(after.caches().map(|(_, _, cache)| cache.key.clone()));
                }
            }
            loop {
                let known = connected.len();
                for step in steps(&planned) {
                    let held = held_together(step);
                    if held.iter().any(|key| connected.contains(*key)) {
                        connected.extend(held.into_iter().cloned());
                    }
                }
                if connected.len() == known { break }
            }
            for step in plan.edits.keys() {
                let touches = |step: &Step| step.caches().any(|(_, _, cache)| connected.contains(&cache.key));
                prop_assert!(touches(graph.step(*step)) || touches(planned.step(*step)), "{policy}");
            }
        }
    }

    #[test]
    fn what_is_written_has_no_hazard_left(model in definitions()) {
        let definition = Definition::parse(model.encode()).unwrap();
        let graph = llb::read(std::slice::from_ref(&definition)).unwrap();
        for policy in MENDING {
            let plan = Plan::of(&graph, policy);
            let Some(again) = rewrite(&definition, &graph, &plan) else { continue };
            let again = llb::read(&[again]).unwrap();
            let left = unmended(&again, policy);
            prop_assert!(left.is_empty(), "{policy}: {left:?}");
            prop_assert_eq!(caches(&plan.apply(&graph)), caches(&again), "{}", policy);
        }
    }
}

/// The definition as planned, unless an op of an unknown kind keeps it from being changed.
fn rewrite(definition: &Definition, graph: &BuildGraph, plan: &Plan) -> Option<Definition> {
    match llb::write(std::slice::from_ref(definition), graph, plan, None) {
        Err(WriteError::UnknownKind { .. }) => None,
        written => Some(Definition::parse(written.unwrap().definitions.remove(0).into_owned()).unwrap()),
    }
}

/// The ids and modes of each step's mounts, in order.
fn caches(graph: &BuildGraph) -> Vec<Vec<Option<(String, Sharing)>>> {
    let of_mount = |mount: &Mount| mount.cache.as_ref().map(|cache| (cache.key.id.clone(), cache.sharing));
    let mut steps: Vec<_> =
        steps(graph).into_iter().map(|step| step.mounts.iter().map(of_mount).collect::<Vec<_>>()).collect();
    steps.sort();
    steps
}

/// Two steps that differ in a sharing mode alone become one, and with them the caches that start from their results. The
/// caches have one id, so they got names of their own before.
#[test]
fn caches_that_become_one_have_names_of_their_own() {
    let mount = |id, sharing, input| {
        let opt =
            Message(vec![Field::text(number::ID, id), Field::new(number::SHARING, Value::Varint(sharing))]);
        let fields = vec![
            Field::new(1, Value::Varint(input)),
            Field::new(6, Value::Varint(3)),
            Field::message(number::CACHE_OPT, opt),
        ];
        Field::message(number::MOUNTS, Message(fields))
    };
    let exec = |mount| Field::message(number::EXEC, Message(vec![mount]));
    let input = |op| Field::message(number::INPUTS, Message(vec![Field::new(number::NAME, Value::Name(op))]));
    let base = |sharing| Message(vec![exec(mount("/base", sharing, u64::MAX))]);
    let user = |op, name| Message(vec![input(op), exec(mount("/own", 0, 0)), Field::text(11, name)]);
    let ops = vec![base(0), base(2), user(0, "a"), user(1, "b"), Message(vec![input(2), input(3)])];
    let definition = Message((0..ops.len()).map(|op| Field::new(number::DEF, Value::Op(op))).collect());
    let mut definition = Definition::parse(Model { ops, definition }.encode()).unwrap();
    let mut left = Vec::new();
    for _ in 0..3 {
        let graph = llb::read(std::slice::from_ref(&definition)).unwrap();
        left.push(hazard::find(&graph).len());
        definition = rewrite(&definition, &graph, &Plan::of(&graph, Policy::Lock)).unwrap();
    }
    assert_eq!(left, [2, 0, 0]);
}
