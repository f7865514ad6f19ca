//! What plans leave and what they touch.

use std::collections::{BTreeMap, BTreeSet};

use ci_build_frontend::graph::{BuildGraph, CacheKey, GraphBuilder, MountRef, Sharing, Step};
use ci_build_frontend::hazard::{self, Finding, Severity};
use ci_build_frontend::llb::{self, Definition, PrimerImage, WriteError};
use ci_build_frontend::plan::{Plan, Policy, Scope, Settings, Strategy};
use proptest::prelude::*;

use crate::build::{MIXED, builds};
use crate::definition::{Model, definitions, number};
use crate::message::{Field, Message, Value};

/// All that can be asked for of a whole build, but to change nothing.
fn mending() -> impl Iterator<Item = Settings> {
    let policies = Policy::ALL.into_iter().filter(|policy| *policy != Policy::Off);
    policies.flat_map(|policy| Scope::ALL.map(|scope| Settings { policy, scope, ..Settings::default() }))
}

/// The hazards that a plan may not leave.
fn unmended(graph: &BuildGraph, settings: &Settings) -> Vec<Finding> {
    let mut findings = hazard::find(graph);
    findings.retain(|finding| match settings.policy {
        Policy::Auto => finding.severity > Severity::Note,
        // The user says that tools which nobody knows bear each other.
        Policy::Prime if finding.rule.name == "SharedCacheRace" => finding.severity > Severity::Warning,
        Policy::Prime => finding.severity > Severity::Note,
        _ => true,
    });
    findings
}

fn steps(graph: &BuildGraph) -> Vec<&Step> {
    graph.steps().map(|(_, step)| step).collect()
}

/// Each step before and after a plan, which may turn the order of the build around.
fn pairs<'g>(before: &'g BuildGraph, after: &'g BuildGraph) -> Vec<(&'g Step, &'g Step)> {
    before.steps().map(|(index, step)| (step, after.step(index))).collect()
}

/// The caches whose locks a step holds together, where they are several.
fn held_together(step: &Step) -> BTreeSet<&CacheKey> {
    let locked = step.caches().filter(|(_, _, cache)| cache.sharing == Sharing::Locked);
    let keys: BTreeSet<_> = locked.map(|(_, _, cache)| &cache.key).collect();
    if keys.len() > 1 { keys } else { BTreeSet::new() }
}

proptest! {
    #![proptest_config(crate::cases(128))]

    #[test]
    fn no_hazard_is_left(graph in builds(MIXED)) {
        for settings in mending() {
            let left = unmended(&Plan::of(&graph, &settings).apply(&graph), &settings);
            prop_assert!(left.is_empty(), "{settings:?}: {left:?}");
        }
    }

    #[test]
    fn a_plan_says_what_it_mends(graph in builds(MIXED)) {
        for settings in mending() {
            let mended: Vec<_> = Plan::of(&graph, &settings).mended.into_iter().map(|mended| mended.finding).collect();
            prop_assert_eq!(mended, hazard::find(&graph));
        }
    }

    #[test]
    fn without_hazards_or_with_off_nothing_changes(graph in builds(MIXED)) {
        prop_assert_eq!(Plan::of(&graph, &Policy::Off.into()), Plan::default());
        for settings in mending() {
            if settings.scope == Scope::Build && unmended(&graph, &settings).is_empty() {
                prop_assert!(Plan::of(&graph, &settings).is_empty(), "{settings:?}");
            }
        }
    }

    #[test]
    fn planning_again_is_the_same_and_planning_the_planned_changes_nothing(graph in builds(MIXED)) {
        for settings in mending() {
            let plan = Plan::of(&graph, &settings);
            prop_assert_eq!(&plan, &Plan::of(&graph, &settings));
            let again = Plan::of(&plan.apply(&graph), &settings);
            prop_assert!(again.is_empty(), "{settings:?}: {again:?}");
        }
    }

    #[test]
    fn a_plan_changes_ids_modes_and_the_order_of_mounts_alone(graph in builds(MIXED)) {
        for settings in mending() {
            let planned = Plan::of(&graph, &settings).apply(&graph);
            for (before, after) in pairs(&graph, &planned) {
                let strip = |step: &Step| {
                    let mut step = step.clone();
                    for mount in &mut step.mounts {
                        mount.primed = false;
                        let Some(cache) = &mut mount.cache else { continue };
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
        for settings in mending().filter(|settings| settings.scope == Scope::Build) {
            let plan = Plan::of(&graph, &settings);
            let planned = plan.apply(&graph);
            // The caches of hazards, before the plan and under the names that it gives them.
            let hazardous = unmended(&graph, &settings).into_iter().flat_map(|finding| finding.caches);
            let mut connected: BTreeSet<CacheKey> = hazardous.collect();
            for (before, after) in pairs(&graph, &planned) {
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
            // By their ids: a name that the plan gives may be one that somebody has written, and then two differ by what they
            // start from alone.
            let connected: BTreeSet<_> = connected.iter().map(|key| &key.id).collect();
            for step in plan.edits.keys() {
                let touches = |step: &Step| step.caches().any(|(_, _, cache)| connected.contains(&cache.key.id));
                prop_assert!(touches(graph.step(*step)) || touches(planned.step(*step)), "{settings:?}");
            }
        }
    }

    #[test]
    fn an_order_runs_in_no_circle_and_leaves_no_pair_of_users_open(graph in builds(MIXED)) {
        let plan = Plan::of(&graph, &Policy::Order.into());
        let mut builder = GraphBuilder::default();
        let mut copies = BTreeMap::new();
        for (index, step) in graph.steps() {
            copies.insert(index, builder.add(step.clone()));
        }
        for (index, _) in graph.steps() {
            graph.dependencies(index).for_each(|needed| builder.depend(copies[&needed], copies[&index]));
        }
        for (index, edit) in &plan.edits {
            edit.after.values().flatten().for_each(|before| builder.depend(copies[before], copies[index]));
        }
        let ordered = builder.finish();
        prop_assert!(ordered.is_ok(), "{ordered:?}");
        let ordered = ordered.unwrap();
        let mended = plan.mended.iter().filter(|mended| mended.strategy == Strategy::Order);
        let keys: BTreeSet<_> = mended.flat_map(|mended| &mended.finding.caches).collect();
        // By the names that they have now.
        for mounts in plan.apply(&graph).caches().into_values() {
            let of_hazard = |at: &&MountRef| keys.contains(&graph.mount(**at).cache.as_ref().unwrap().key);
            let users: Vec<_> = mounts.iter().filter(of_hazard).collect();
            for (place, user) in users.iter().enumerate() {
                for other in &users[..place] {
                    prop_assert!(!ordered.are_concurrent(copies[&user.step], copies[&other.step]));
                }
                // Also the first of the chain waits for something, so that its key does not depend on its place.
                prop_assert!(!plan.edits[&user.step].after.is_empty());
            }
        }
    }

    #[test]
    fn beside_other_builds_only_what_tools_bear_stays_shared(graph in builds(MIXED)) {
        for policy in [Policy::Auto, Policy::Lock, Policy::Order, Policy::Namespace] {
            let settings = Settings { policy, scope: Scope::Host, ..Settings::default() };
            let planned = Plan::of(&graph, &settings).apply(&graph);
            for (key, mounts) in planned.caches() {
                let mounts = mounts.iter().map(|at| planned.mount(*at));
                let shared: Vec<_> = mounts
                    .filter(|mount| mount.cache.as_ref().is_some_and(|cache| cache.sharing == Sharing::Shared))
                    .collect();
                let is_known = [".npm", ".cache/pip"].iter().any(|tool| key.id.contains(tool))
                    || shared.iter().any(|mount| mount.target == "/root/.npm");
                prop_assert!(shared.is_empty() || is_known, "{policy}: {key}");
            }
        }
    }

    #[test]
    fn what_is_written_has_no_hazard_left(model in definitions()) {
        let definition = Definition::parse(model.encode()).unwrap();
        let graph = llb::read(std::slice::from_ref(&definition)).unwrap();
        for settings in mending() {
            let plan = Plan::of(&graph, &settings);
            let Some(again) = rewrite(&definition, &graph, &plan) else { continue };
            let again = llb::read(&[again]).unwrap();
            let left = unmended(&again, &settings);
            prop_assert!(left.is_empty(), "{settings:?}: {left:?}");
            prop_assert_eq!(caches(&plan.apply(&graph)), caches(&again), "{:?}", settings);
        }
    }
}

/// The definition as planned, unless an op of an unknown kind, or one that nobody can wait for, keeps it from being changed.
fn rewrite(definition: &Definition, graph: &BuildGraph, plan: &Plan) -> Option<Definition> {
    let image = PrimerImage::new("ci-build/frontend", "/ci-build-frontend", "nonce");
    match llb::write(std::slice::from_ref(definition), graph, plan, Some(&image)) {
        Err(WriteError::UnknownKind { .. } | WriteError::NoResult(_)) => None,
        written => Some(Definition::parse(written.unwrap().definitions.remove(0).into_owned()).unwrap()),
    }
}

/// The ids and modes of each step's caches, in order.
fn caches(graph: &BuildGraph) -> Vec<Vec<(String, Sharing, bool)>> {
    let of_step = |step: &Step| -> Vec<_> {
        let caches = step.caches();
        caches.map(|(_, mount, cache)| (cache.key.id.clone(), cache.sharing, mount.primed)).collect()
    };
    let mut steps: Vec<_> = steps(graph).into_iter().map(of_step).collect();
    steps.retain(|caches| !caches.is_empty());
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
        definition = rewrite(&definition, &graph, &Plan::of(&graph, &Policy::Lock.into())).unwrap();
    }
    assert_eq!(left, [2, 0, 0]);
}
