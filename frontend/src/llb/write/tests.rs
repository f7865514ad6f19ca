//! Vertices of ours as the engine would read them, and what cannot be written.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::*;
use crate::graph::{BuildGraph, MountRef, StepIndex};
use crate::llb::message::number;
use crate::llb::wire::{self, encode_bytes, encode_varint};
use crate::llb::{message, ours, read};
use crate::plan::{Primer, StepEdit};

/// Definitions as an engine gave them, one a platform: `docker-28.5/none/stages`.
fn captured(name: &str) -> Vec<Definition> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/llb").join(name);
    let names = std::iter::once("pb".to_owned()).chain((1..).map(|number| format!("{number}.pb")));
    let files = names.map_while(|name| std::fs::read(path.with_extension(name)).ok());
    files.map(|bytes| Definition::parse(bytes).unwrap()).collect()
}

/// The step at a line, in the definition of this place.
fn at(definitions: &[Definition], graph: &BuildGraph, place: usize, line: u32) -> StepIndex {
    let is_in = |id: &str| definitions[place].vertices.iter().any(|vertex| vertex.digest.as_str() == id);
    let mut steps = graph.steps().filter(|(_, step)| is_in(&step.id));
    steps.find(|(_, step)| step.location.as_ref().is_some_and(|at| at.line == line)).unwrap().0
}

fn after(steps: &[(StepIndex, &[StepIndex])]) -> Plan {
    let edit = |before: &[StepIndex]| StepEdit {
        after: BTreeMap::from([(0, before.to_vec())]),
        ..StepEdit::default()
    };
    Plan { edits: steps.iter().map(|(step, before)| (*step, edit(before))).collect(), ..Plan::default() }
}

fn image() -> PrimerImage {
    PrimerImage::new("frontend:1", "/bin/frontend", "nonce")
}

fn written(definitions: &[Definition], graph: &BuildGraph, plan: &Plan) -> Vec<Definition> {
    let image = image();
    let written = write(definitions, graph, plan, Some(&image)).unwrap();
    written.definitions.iter().map(|bytes| Definition::parse(bytes.to_vec()).unwrap()).collect()
}

/// The ops in their order: what people see, where it was written, and the places of its inputs.
fn list(definition: &Definition) -> String {
    let mut text = String::new();
    for (place, vertex) in definition.vertices.iter().enumerate() {
        let name = definition.name_of(&vertex.digest).unwrap_or("-");
        let source =
            if definition.source_of(vertex.digest.as_str()).is_some() { " (with its source)" } else { "" };
        let _ = writeln!(text, "{place} {name}{source} {:?}", vertex.inputs);
    }
    text
}

fn mounts(vertex: &Vertex) -> String {
    let mut text = String::new();
    for mount in vertex.mounts() {
        let kind = ["bind", "secret", "ssh", "cache", "tmpfs"][mount.mount_type as usize];
        let readonly = if mount.readonly { " readonly" } else { "" };
        let id = mount.cache_opt.as_ref().map(|cache| format!(" {} {}", cache.id(), cache.sharing()));
        let _ = writeln!(
            text,
            "{} {kind}{readonly}{} from {} {:?} to {}",
            mount.dest,
            id.unwrap_or_default(),
            mount.input,
            mount.selector,
            mount.output
        );
    }
    text
}

/// The mounts of a definition's primer, and what it is started with.
fn primed(definition: &Definition) -> String {
    let primer = primer_of(definition);
    let exec = wire::get_bytes(&definition.bytes()[primer.span.clone()], number::OP_EXEC).unwrap().unwrap();
    let meta = wire::get_bytes(exec, number::EXEC_META).unwrap().unwrap();
    let arguments = wire::fields(meta).filter_map(|field| match field.unwrap() {
        wire::Field { number: 1, value: wire::Value::Bytes(argument), .. } => {
            Some(String::from_utf8_lossy(argument))
        }
        _ => None,
    });
    format!("{}{}", mounts(primer), arguments.collect::<Vec<_>>().join(" "))
}

fn primer_of(definition: &Definition) -> &Vertex {
    let mut vertices = definition.vertices.iter();
    vertices.find(|vertex| definition.role_of(&vertex.digest) == Some(ours::Role::Primer)).unwrap()
}

#[test]
fn a_step_may_wait_for_one_of_another_platform() {
    let definitions = captured("docker-28.5-containerd/PlatformCacheCollision/two-platforms");
    let graph = read(&definitions).unwrap();
    let [first, second] = [0, 1].map(|place| {
        let mut steps = graph.steps().filter(|(_, step)| step.caches().next().is_some());
        let is_here =
            |id: &str| definitions[place].vertices.iter().any(|vertex| vertex.digest.as_str() == id);
        steps.find(|(_, step)| is_here(&step.id)).unwrap().0
    });
    let again = written(&definitions, &graph, &after(&[(first, &[]), (second, &[first])]));
    insta::assert_snapshot!(list(&again[0]), @r"
    0 [a 1/2] RUN --mount=type=cache,target=/cache touch /cache/a (with its source) [3]
    1 [a 2/2] RUN --mount=type=cache,id=own-linux/amd64,target=/own touch /own/a (with its source) [0]
    2 [stage-1 1/1] RUN --mount=type=cache,target=/cache touch /cache/b (with its source) [1]
    3 [ci-build] wait for nothing before two-platforms.Dockerfile:4 (stage a) on linux/amd64 []
    4 - [2]
    ");
    insta::assert_snapshot!(list(&again[1]), @r"
    0 [a 1/2] RUN --mount=type=cache,target=/cache touch /cache/a (with its source) [5]
    1 [a 2/2] RUN --mount=type=cache,id=own-linux/arm64,target=/own touch /own/a (with its source) [0]
    2 [stage-1 1/1] RUN --mount=type=cache,target=/cache touch /cache/b (with its source) [1]
    3 [ci-build] wait for nothing before two-platforms.Dockerfile:4 (stage a) on linux/amd64 []
    4 [a 1/2] RUN --mount=type=cache,target=/cache touch /cache/a (with its source) [3]
    5 [ci-build] wait for two-platforms.Dockerfile:4 (stage a) on linux/amd64 before two-platforms.Dockerfile:4 (stage a) on linux/arm64 [4]
    6 - [2]
    ");
}

#[test]
fn a_primer_mounts_what_others_mount_in_the_caches() {
    let definitions = captured("docker-28.5/NestedMountpointRace/two-stages");
    let graph = read(&definitions).unwrap();
    let [a, b] = [3, 5].map(|line| at(&definitions, &graph, 0, line));
    let outer = |step: StepIndex| {
        let mut caches = graph.step(step).caches();
        MountRef { step, mount: caches.find(|(_, mount, _)| mount.target == "/cache").unwrap().0 }
    };
    let primer = Primer { mounts: vec![outer(a), outer(b)], before: vec![a, b] };
    let plan = Plan { primer: Some(primer), ..Plan::default() };
    let again = written(&definitions, &graph, &plan);
    insta::assert_snapshot!(list(&again[0]), @r"
    0 [b 1/2] FROM docker.io/local/busybox:latest (with its source) []
    1 [a 2/2] RUN --mount=type=cache,id=outer,target=/cache --mount=type=cache,id=inner-a,target=/cache/inner/a touch /cache/inner/a/x /a (with its source) [0, 6]
    2 [stage-2 2/3] COPY --from=a /a / (with its source) [0, 1]
    3 [b 2/2] RUN --mount=type=cache,id=outer,target=/cache --mount=type=tmpfs,target=/cache/inner/b touch /cache/inner/b/x /b (with its source) [0, 6]
    4 [stage-2 3/3] COPY --from=b /b / (with its source) [2, 3]
    5 [ci-build] load the frontend's image []
    6 [ci-build] prepare caches [5]
    7 - [4]
    ");
    insta::assert_snapshot!(primed(&again[0]), @r#"
    / bind readonly from 0 "" to -1
    /ci-build/result bind from -1 "" to 0
    /ci-build/0 cache /outer shared from -1 "" to -1
    /bin/frontend prime /ci-build/result/primed/ /ci-build/0/inner/a/ /ci-build/0/inner/b/
    "#);
    assert_eq!(write(&definitions, &graph, &plan, None).unwrap_err(), WriteError::NoImage);
}

/// Mounts: target, type, and the cache's id or else the selector.
type Mounts<'t> = &'t [(&'t str, i32, &'t str)];

/// A definition of different commands on one base, each with these mounts.
fn commands(all: &[Mounts<'_>]) -> Definition {
    let commands =
        all.iter().enumerate().map(|(number, mounts)| command("base", &number.to_string(), mounts));
    definition(commands.collect())
}

/// A command on a base, and the base.
fn command(base: &str, name: &str, mounts: Mounts<'_>) -> [Vec<u8>; 2] {
    let base = encode_bytes(3, &encode_bytes(1, format!("docker-image://{base}").as_bytes()));
    let mut exec = encode_bytes(1, &encode_bytes(1, name.as_bytes()));
    exec.extend(encode_bytes(2, &encode_bytes(3, b"/")));
    for (target, kind, id) in mounts {
        let mut mount = [encode_bytes(3, target.as_bytes()), encode_varint(4, token::NONE)].concat();
        mount.extend(encode_varint(6, *kind as u64));
        match *kind {
            message::MOUNT_TYPE_CACHE => mount.extend(encode_bytes(20, &encode_bytes(1, id.as_bytes()))),
            _ => mount.extend(encode_bytes(2, id.as_bytes())),
        }
        exec.extend(encode_bytes(2, &mount));
    }
    let input = token::input(Digest::of(&base).as_str(), 0);
    [base, [input, encode_bytes(2, &exec)].concat()]
}

fn definition(commands: Vec<[Vec<u8>; 2]>) -> Definition {
    let root = commands.iter().flat_map(|[_, op]| token::input(Digest::of(op).as_str(), 0)).collect();
    let ops = commands.into_iter().flatten().chain([root]);
    Definition::parse(ops.flat_map(|op| encode_bytes(1, &op)).collect()).unwrap()
}

#[test]
fn mountpoints_are_of_their_kind_and_in_the_cache_that_they_lie_in() {
    use message::{MOUNT_TYPE_BIND as BIND, MOUNT_TYPE_CACHE as CACHE, MOUNT_TYPE_SECRET as SECRET};
    let definitions = [commands(&[
        &[("/c", CACHE, "/x"), ("/c/keys/k", SECRET, ""), ("/c/src", BIND, "/"), ("/c/part", BIND, "/file")],
        &[("/d", CACHE, "/x"), ("/d/own", CACHE, "/y"), ("/d/own/deep/t", message::MOUNT_TYPE_TMPFS, "")],
        &[("/c", CACHE, "/y"), ("/c/deep", CACHE, "/z"), ("/other", SECRET, "")],
    ])];
    let graph = read(&definitions).unwrap();
    let mounts_of = |id: &'static str| {
        let caches = graph.caches();
        caches.into_iter().find(|(key, _)| key.id == id).unwrap().1
    };
    let all: Vec<_> = [mounts_of("/x"), mounts_of("/y")].concat();
    let primer = Primer { before: all.iter().map(|at| at.step).collect(), mounts: all };
    let again = written(&definitions, &graph, &Plan { primer: Some(primer), ..Plan::default() });
    insta::assert_snapshot!(primed(&again[0]), @r#"
    / bind readonly from 0 "" to -1
    /ci-build/result bind from -1 "" to 0
    /ci-build/0 cache /x shared from 1 "" to -1
    /ci-build/1 cache /y shared from 1 "" to -1
    /bin/frontend prime /ci-build/result/primed/ /ci-build/0/keys/k /ci-build/0/own/ /ci-build/0/src/ /ci-build/1/deep/t/
    "#);
}

#[test]
fn a_step_with_a_dev_of_its_own_waits_elsewhere() {
    let tmpfs = message::MOUNT_TYPE_TMPFS;
    for (target, place) in [("/dev/", "/.ci-build-after"), ("/dev/shm", "/dev/.ci-build-after")] {
        let definitions = [commands(&[&[(target, tmpfs, "")]])];
        let graph = read(&definitions).unwrap();
        let (step, _) = graph.steps().find(|(_, step)| !step.mounts.is_empty()).unwrap();
        let again = written(&definitions, &graph, &after(&[(step, &[])]));
        let mounts = again[0].vertices.iter().flat_map(|vertex| vertex.mounts());
        assert!(mounts.into_iter().any(|mount| mount.dest == place && mount.readonly), "{target}");
    }
}

#[test]
fn tokens_of_equal_commands_are_different_and_know_no_base() {
    let directories = |bases: &[&str]| -> Vec<String> {
        let mounts: Mounts<'_> = &[("/c", message::MOUNT_TYPE_CACHE, "/x")];
        let definitions = [definition(bases.iter().map(|base| command(base, "make", mounts)).collect())];
        let graph = read(&definitions).unwrap();
        let steps = graph.steps().filter(|(_, step)| !step.mounts.is_empty());
        let plan = after(&steps.map(|(step, _)| (step, &[][..])).collect::<Vec<_>>());
        let again = written(&definitions, &graph, &plan);
        let text = String::from_utf8_lossy(again[0].bytes()).into_owned();
        text.split("/after-").skip(1).map(|rest| rest[..64].to_owned()).collect()
    };
    let names = directories(&["a", "b"]);
    assert_ne!(names[0], names[1]);
    assert_eq!(names, directories(&["c", "d"]));
}

#[test]
fn what_cannot_be_is_an_error_of_ours() {
    let definitions = [commands(&[&[], &[]])];
    let graph = read(&definitions).unwrap();
    let image = image();
    let error = |plan: &Plan| write(&definitions, &graph, plan, Some(&image)).unwrap_err();
    let steps: Vec<_> = graph.steps().map(|(step, _)| step).collect();
    let [base, a, b] = [steps[0], steps[1], steps[2]];
    assert_eq!(error(&after(&[(a, &[b]), (b, &[a])])), WriteError::Cycle);
    assert_eq!(error(&after(&[(a, &[a])])), WriteError::Cycle);
    assert!(matches!(error(&after(&[(base, &[])])), WriteError::NoCommand(_)));
    let without = [commands(&[&[("/c", message::MOUNT_TYPE_CACHE, "/x")]])];
    let other = read(&without).unwrap();
    let (step, _) = other.steps().find(|(_, step)| !step.mounts.is_empty()).unwrap();
    let error = write(&definitions, &other, &after(&[(step, &[])]), None).unwrap_err();
    assert!(matches!(error, WriteError::NoSuchStep(_)));
}
