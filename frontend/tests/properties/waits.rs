//! Steps that wait for others, in definitions that engines made: whatever a plan has wait for whatever.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use ci_build_frontend::graph::{BuildGraph, Mount, MountRef, StepIndex};
use ci_build_frontend::llb::wire::{self, Value};
use ci_build_frontend::llb::{self, Definition, Digest, PrimerImage, Written};
use ci_build_frontend::plan::{Plan, Primer};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::support;

const GATE: &str = "/dev/.ci-build-after";

fn image() -> PrimerImage {
    PrimerImage::new("localhost/frontend", "/frontend", "nonce")
}

/// The first definition of every captured build.
fn captured() -> Vec<PathBuf> {
    let list = |dir: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/llb");
    let rules = list(&root).into_iter().flat_map(|engine| list(&engine));
    let mut paths: Vec<_> =
        rules.flat_map(|rule| list(&rule)).filter(|path| !support::is_further(path)).collect();
    paths.sort();
    paths
}

/// Which build, who waits for whom, who is first, and whether all wait for a primer.
type Wishes = (Index, Vec<(Index, Index)>, Vec<Index>, bool);

fn wishes() -> impl Strategy<Value = Wishes> {
    let pairs = prop::collection::vec((any::<Index>(), any::<Index>()), 0..6);
    (any::<Index>(), pairs, prop::collection::vec(any::<Index>(), 0..3), any::<bool>())
}

/// A plan, and which step comes before which.
fn planned(
    graph: &BuildGraph,
    (_, pairs, first, primed): &Wishes,
) -> (Plan, BTreeSet<(StepIndex, StepIndex)>) {
    let steps: Vec<_> = graph.steps().map(|(step, _)| step).collect();
    let commands: Vec<_> =
        steps.iter().copied().filter(|step| !graph.step(*step).mounts.is_empty()).collect();
    let mut plan = Plan::default();
    let mut before = BTreeSet::new();
    if commands.is_empty() {
        return (plan, before);
    }
    for (from, to) in pairs {
        let (from, to) = (*from.get(&steps), *to.get(&commands));
        if graph.rank(from) < graph.rank(to) {
            plan.edits.entry(to).or_default().after.entry(0).or_default().push(from);
            before.insert((from, to));
        }
    }
    for step in first {
        plan.edits.entry(*step.get(&commands)).or_default().after.entry(1).or_default();
    }
    let caches: Vec<_> = graph.caches().into_iter().collect();
    // What a cache starts from comes before the primer, so that not everybody can come after it.
    if *primed && caches.iter().all(|(key, _)| key.identity.is_none()) {
        let mounts: Vec<MountRef> = caches.into_iter().flat_map(|(_, mounts)| mounts).collect();
        plan.primer = Some(Primer { before: mounts.iter().map(|at| at.step).collect(), mounts });
    }
    (plan, before)
}

/// Who has a place in an order.
fn ordered(plan: &Plan) -> BTreeSet<StepIndex> {
    plan.edits.iter().filter(|(_, edit)| !edit.after.is_empty()).map(|(step, _)| *step).collect()
}

fn gated(plan: &Plan) -> BTreeSet<StepIndex> {
    let primed = plan.primer.iter().flat_map(|primer| primer.before.iter().copied());
    ordered(plan).into_iter().chain(primed).collect()
}

fn parsed(written: &Written<'_>, like: &[PathBuf]) -> Vec<Definition> {
    let platforms = support::platforms(&like[0]).into_iter().map(Some).chain(std::iter::repeat(None));
    let definitions = written.definitions.iter().zip(platforms);
    definitions
        .map(|(bytes, platform)| Definition::parse(bytes.to_vec()).unwrap().built_for(platform))
        .collect()
}

fn new_name<'w>(written: &'w Written<'_>, old: &'w str) -> &'w str {
    written.renamed.get(old).map_or(old, Digest::as_str)
}

/// The digest of the last op.
fn root(definition: &[u8]) -> Option<Digest> {
    let ops = wire::fields(definition).filter_map(|field| match field.unwrap() {
        wire::Field { number: 1, value: Value::Bytes(op), .. } => Some(op),
        _ => None,
    });
    ops.last().map(Digest::of)
}

/// The names of the tokens' directories, by the step that mounts each.
fn names(definitions: &[Definition]) -> BTreeSet<String> {
    let text: String = definitions
        .iter()
        .map(|definition| String::from_utf8_lossy(definition.bytes()).into_owned())
        .collect();
    text.split("/after-")
        .skip(1)
        .map(|rest| rest.chars().take_while(char::is_ascii_hexdigit).collect())
        .collect()
}

/// Without what depends on the steps before.
fn by_itself(mount: &Mount) -> Mount {
    Mount { input: None, primed: false, ..mount.clone() }
}

/// What does not hold after a plan was written, if anything.
fn check(
    definitions: &[Definition],
    graph: &BuildGraph,
    plan: &Plan,
    before: &BTreeSet<(StepIndex, StepIndex)>,
    written: &Written<'_>,
    again: &[Definition],
) -> Result<(), TestCaseError> {
    let after = llb::read(again).unwrap();
    let by_id: HashMap<_, _> = after.steps().map(|(index, step)| (step.id.as_str(), index)).collect();
    let gated = gated(plan);
    let mut changes = BTreeSet::new();
    for (index, step) in graph.steps() {
        if gated.contains(&index) || graph.dependencies(index).any(|input| changes.contains(&input)) {
            changes.insert(index);
        }
        let new = new_name(written, &step.id);
        prop_assert!(changes.contains(&index) || new == step.id, "{step} changed for nothing");
        let new = after.step(by_id[new]);
        prop_assert_eq!((&new.stage, &new.title, &new.location), (&step.stage, &step.title, &step.location));
        let mut mounts: Vec<_> = step.mounts.iter().map(by_itself).collect();
        let keys = mounts.iter_mut().filter_map(|mount| Some(&mut mount.cache.as_mut()?.key));
        for identity in keys.filter_map(|key| key.identity.as_mut()) {
            let (digest, output) = identity.split_once('/').unwrap();
            *identity = format!("{}/{output}", new_name(written, digest));
        }
        let new_mounts: Vec<_> = new.mounts.iter().map(by_itself).collect();
        prop_assert_eq!(&new_mounts[..mounts.len()], &mounts[..]);
        let gates = new.mounts.iter().filter(|mount| mount.target == GATE && mount.readonly).count();
        let was_gated = step.mounts.iter().any(|mount| mount.target == GATE);
        prop_assert_eq!(gates, usize::from(was_gated || gated.contains(&index)));
    }
    for (from, to) in before {
        let [from, to] = [from, to].map(|step| by_id[new_name(written, &graph.step(*step).id)]);
        prop_assert!(!after.are_concurrent(from, to) && after.rank(from) < after.rank(to));
    }
    for (old, new) in definitions.iter().zip(&written.definitions) {
        let (old, new) = (root(old.bytes()), root(new));
        prop_assert_eq!(
            old.as_ref().map(|old| new_name(written, old.as_str())),
            new.as_ref().map(Digest::as_str)
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(crate::cases(128))]

    #[test]
    fn who_waits_comes_later_and_nothing_else_changes(wishes in wishes(), more in wishes()) {
        let path = wishes.0.get(&captured()).clone();
        let definitions = support::definitions(&path);
        let graph = llb::read(&definitions).unwrap();
        let (plan, before) = planned(&graph, &wishes);
        let image = image();
        let written = llb::write(&definitions, &graph, &plan, Some(&image)).unwrap();
        if gated(&plan).is_empty() {
            for (old, new) in definitions.iter().zip(&written.definitions) {
                prop_assert_eq!(old.bytes(), &**new);
            }
        }
        let again = parsed(&written, std::slice::from_ref(&path));
        check(&definitions, &graph, &plan, &before, &written, &again)?;
        // Who waits for the primer alone mounts what that leaves.
        prop_assert_eq!(names(&again).len(), ordered(&plan).len());

        // A token is called the same whatever its step waits for.
        let mut first = plan.clone();
        first.primer = None;
        for step in ordered(&plan) {
            first.edits.entry(step).or_default().after = BTreeMap::from([(0, Vec::new())]);
        }
        let written_first = llb::write(&definitions, &graph, &first, None).unwrap();
        prop_assert_eq!(names(&parsed(&written_first, std::slice::from_ref(&path))), names(&again));

        // A step that waits already may have to wait for more.
        let graph = llb::read(&again).unwrap();
        let (plan, before) = planned(&graph, &more);
        let written = llb::write(&again, &graph, &plan, Some(&image)).unwrap();
        check(&again, &graph, &plan, &before, &written, &parsed(&written, &[path]))?;
    }
}
