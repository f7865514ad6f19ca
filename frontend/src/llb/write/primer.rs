//! The primer: one command of ours that mounts caches and makes in them the mountpoints that other steps need, before those
//! steps start. So the runtime finds them made, and steps that share the cache do not race for them. Two primers of two builds
//! may make the same ones at once: making what is there is no error to them, as it is to some runtimes.
//!
//! It runs in every build: the caches may have been removed since the last one, while its result was still known. So its
//! environment has a nonce; the engine's own way to run something again clears the caches that it mounts.
//!
//! Its result is one directory that is the same in every build, as a token's: so who waits for nothing else mounts that
//! ([`super::token`]).

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::edit;
use super::mountpoints::{self, Kind, Mountpoints, enclosing};
use super::table::{Ops, Original, Row, Table};
use super::token::{NONE, input};
use super::{WireError, WriteError};
use crate::graph::{BuildGraph, CacheKey, CacheUse, MountRef};
use crate::llb::message::number;
use crate::llb::wire::{self, Field, Value, encode_bytes, encode_varint};
use crate::plan::Plan;

/// The argument with which this frontend's program makes mountpoints: so it is started in the primer. The mountpoints follow,
/// directories with a slash at the end.
pub const PRIME: &str = "prime";

/// Where a primer runs: this frontend's own image, which the engine has, since it runs us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrimerImage {
    reference: String,
    program: String,
    nonce: String,
}

impl PrimerImage {
    /// `source` is the image as the engine names it to its frontend, `program` the path of this program in it, and `nonce`
    /// something that is in no other build.
    #[must_use]
    pub fn new(source: &str, program: &str, nonce: &str) -> Self {
        Self { reference: full(source), program: program.to_owned(), nonce: nonce.to_owned() }
    }

    /// The encoded `SourceOp`: the very vertex that the engine made for this frontend (`frontend/gateway/gateway.go`),
    /// but for a digest in the reference.
    pub(super) fn op<'a>(&self) -> Cow<'a, [u8]> {
        let entry = [encode_bytes(1, b"image.recordtype"), encode_bytes(2, b"frontend")].concat();
        let identifier = format!("docker-image://{}", self.reference);
        let source = [encode_bytes(1, identifier.as_bytes()), encode_bytes(2, &entry)].concat();
        Cow::Owned(encode_bytes(number::OP_SOURCE, &source))
    }
}

/// A reference with its registry and its tag, as the engine's source wants it (`distribution/reference`,
/// `ParseNormalizedNamed` and `TagNameOnly`).
fn full(reference: &str) -> String {
    let is_registry =
        |name: &str| name.contains(['.', ':']) || name == "localhost" || name.to_lowercase() != name;
    let (registry, path) = match reference.split_once('/') {
        Some((registry, path)) if is_registry(registry) => (registry, path),
        _ => ("docker.io", reference),
    };
    let registry = if registry == "index.docker.io" { "docker.io" } else { registry };
    let library = if registry == "docker.io" && !path.contains('/') { "library/" } else { "" };
    let tag = if path.contains([':', '@']) { "" } else { ":latest" };
    format!("{registry}/{library}{path}{tag}")
}

/// The command that prepares caches.
#[derive(Debug)]
pub(super) struct Primer<'a> {
    image: &'a PrimerImage,
    /// What it starts from: the image, then what caches start from, each with the number of its result.
    inputs: Vec<(usize, u64)>,
    caches: Vec<Cache<'a>>,
}

/// A cache to mount.
#[derive(Debug)]
struct Cache<'a> {
    /// A mount of it as a step has it, encoded.
    bytes: Cow<'a, [u8]>,
    /// The place among the primer's inputs of what it starts from.
    input: Option<usize>,
    mountpoints: Mountpoints<'a>,
}

/// What tells the directories of caches apart: the cache, and the part of it that is mounted.
type DirectoryKey<'a> = (CacheKey, &'a str);

/// Adds the primer of a plan that has one, and gives its row.
pub(super) fn add<'a>(
    table: &mut Table<'a>,
    graph: &BuildGraph,
    plan: &Plan,
    image: Option<&'a PrimerImage>,
) -> Result<Option<usize>, WriteError> {
    let Some(planned) = &plan.primer else { return Ok(None) };
    let image = image.ok_or(WriteError::NoImage)?;
    let mut inputs = vec![(table.add(Row::Image(image), Vec::new()), 0)];

    // In the order of their keys: that is the order in which all take their locks.
    let mut wanted = BTreeMap::<DirectoryKey<'a>, MountRef>::new();
    for at in &planned.mounts {
        let (_, original) = table.step(graph, at.step)?;
        let vertex = original.vertex;
        if let (Some(cache), Some(mount)) = (planned_cache(graph, plan, *at), vertex.mounts().get(at.mount)) {
            wanted.entry((cache.key.clone(), &mount.selector)).or_insert(*at);
        }
    }
    let mut mountpoints = mountpoints_in(table, graph, plan, &wanted)?;
    let mut caches = Vec::new();
    for (place, at) in wanted {
        let (row, original) = table.step(graph, at.step)?;
        let Some(cache) = planned_cache(graph, plan, at) else { continue };
        let input = of_input(table, row, original, at.mount).map(|input| {
            let known = inputs.iter().position(|known| *known == input);
            known.unwrap_or_else(|| {
                inputs.push(input);
                inputs.len() - 1
            })
        });
        let bytes = mount_bytes(original, at.mount, cache)?;
        let mountpoints = mountpoints.remove(&place).unwrap_or_default();
        caches.push(Cache { bytes, input, mountpoints });
    }
    let needs = inputs.iter().map(|(row, _)| *row).collect();
    Ok(Some(table.add(Row::Primer(Primer { image, inputs, caches }), needs)))
}

fn planned_cache<'g>(graph: &'g BuildGraph, plan: &'g Plan, at: MountRef) -> Option<&'g CacheUse> {
    let planned = plan.edits.get(&at.step).and_then(|edit| edit.caches.get(&at.mount));
    planned.or(graph.step(at.step).mounts.get(at.mount)?.cache.as_ref())
}

/// What every step that waits mounts inside the caches.
fn mountpoints_in<'a>(
    table: &Table<'a>,
    graph: &BuildGraph,
    plan: &Plan,
    wanted: &BTreeMap<DirectoryKey<'a>, MountRef>,
) -> Result<BTreeMap<DirectoryKey<'a>, Mountpoints<'a>>, WriteError> {
    let gated = plan.edits.iter().filter(|(_, edit)| !edit.after.is_empty()).map(|(step, _)| *step);
    let gated: BTreeSet<_> =
        gated.chain(plan.primer.iter().flat_map(|primer| primer.before.iter().copied())).collect();
    let mut all = BTreeMap::<DirectoryKey<'a>, Mountpoints<'a>>::new();
    for step in gated {
        let (_, original) = table.step(graph, step)?;
        let vertex = original.vertex;
        let mounts = vertex.mounts();
        for (inner, enclosing) in enclosing(mounts).into_iter().enumerate() {
            let Some((outer, path)) = enclosing else { continue };
            let Some(kind) = mountpoints::kind(&mounts[inner]) else { continue };
            let Some(cache) = planned_cache(graph, plan, MountRef { step, mount: outer }) else { continue };
            let place = (cache.key.clone(), mounts[outer].selector.as_str());
            if wanted.contains_key(&place) {
                all.entry(place).or_default().entry(path).or_insert(kind);
            }
        }
    }
    all.values_mut().for_each(mountpoints::keep_innermost);
    Ok(all)
}

/// What a mount starts from: the row, and the number of its result.
fn of_input(table: &Table<'_>, row: usize, original: &Original<'_>, mount: usize) -> Option<(usize, u64)> {
    let place = usize::try_from(original.vertex.mounts().get(mount)?.input).ok()?;
    let input = original.vertex.op.inputs.get(place)?;
    Some((*table.needs(row).get(place)?, u64::try_from(input.index).ok()?))
}

/// The encoded mount of a step, with the planned cache.
fn mount_bytes<'a>(
    original: &Original<'a>,
    mount: usize,
    cache: &CacheUse,
) -> Result<Cow<'a, [u8]>, WireError> {
    let exec = wire::get_bytes(original.bytes(), number::OP_EXEC)?.unwrap_or_default();
    let mut mounts = wire::fields(exec).filter_map(|field| match field {
        Ok(Field { number: number::EXEC_MOUNTS, value: Value::Bytes(mount), .. }) => Some(mount),
        _ => None,
    });
    match (mounts.nth(mount), original.vertex.mounts().get(mount)) {
        (Some(bytes), Some(decoded)) => edit::cache(bytes, decoded, cache),
        _ => Ok(Cow::Borrowed(&[])),
    }
}

/// Where the primer mounts the caches, each in a directory of its own: two steps may mount different ones in one place, and
/// none may cover the program.
const CACHES: &str = "/ci-build";

/// Where its result is, and the only directory in that.
const RESULT: &str = "/ci-build/result";
const RESULT_DIRECTORY: &str = "primed";

impl Primer<'_> {
    /// The encoded op (field numbers: `solver/pb/ops.proto`).
    pub(super) fn op<'a>(&self, ops: &Ops<'a>) -> Result<Cow<'a, [u8]>, WriteError> {
        const NO_NETWORK: u64 = 2;
        let inputs = self.inputs.iter().flat_map(|(row, output)| input(ops.digest(*row).as_str(), *output));
        let text = |field, text: &str| encode_bytes(field, text.as_bytes());
        let nonce = format!("CI_BUILD_NONCE={}", self.image.nonce);
        let mut meta = [text(1, &self.image.program), text(1, PRIME)].concat();
        let flag = |field| encode_varint(field, 1);
        let no = |field| encode_varint(field, NONE);
        let root =
            [text(number::MOUNT_DEST, "/"), no(number::MOUNT_OUTPUT), flag(number::MOUNT_READONLY)].concat();
        let result = [no(number::MOUNT_INPUT), text(number::MOUNT_DEST, RESULT)].concat();
        let mut mounts = [root, result].map(|mount| encode_bytes(number::EXEC_MOUNTS, &mount)).concat();
        meta.extend(text(1, &format!("{RESULT}/{RESULT_DIRECTORY}/")));
        for (number, cache) in self.caches.iter().enumerate() {
            let place = format!("{CACHES}/{number}");
            mounts.extend(encode_bytes(number::EXEC_MOUNTS, &cache.mount(&place)?));
            for (path, kind) in &cache.mountpoints {
                let end = if *kind == Kind::Directory { "/" } else { "" };
                meta.extend(text(1, &format!("{place}/{}{end}", path.join("/"))));
            }
        }
        meta.extend([text(2, &nonce), text(3, "/")].concat());
        let mut exec = encode_bytes(number::EXEC_META, &meta);
        exec.extend(mounts);
        exec.extend(encode_varint(number::EXEC_NETWORK, NO_NETWORK));
        Ok(Cow::Owned(inputs.chain(encode_bytes(number::OP_EXEC, &exec)).collect()))
    }
}

impl Cache<'_> {
    /// The mount as a step has it, at another place, and writable.
    fn mount(&self, place: &str) -> Result<Vec<u8>, WireError> {
        let input = self.input.map_or(NONE, |input| input as u64);
        let mount = wire::set_varint(&self.bytes, number::MOUNT_INPUT, input)?;
        let mount = wire::set_bytes(&mount, number::MOUNT_DEST, place.as_bytes())?;
        let mount = wire::set_varint(&mount, number::MOUNT_OUTPUT, NONE)?;
        Ok(wire::set_varint(&mount, number::MOUNT_READONLY, 0)?.into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_gets_its_registry_and_its_tag() {
        for (source, expected) in [
            ("frontend", "docker.io/library/frontend:latest"),
            ("team/frontend:1", "docker.io/team/frontend:1"),
            ("index.docker.io/frontend", "docker.io/library/frontend:latest"),
            ("localhost/ci-build/frontend:0.1.0", "localhost/ci-build/frontend:0.1.0"),
            ("localhost:5000/frontend", "localhost:5000/frontend:latest"),
            ("registry.example/f@sha256:abc", "registry.example/f@sha256:abc"),
        ] {
            assert_eq!(full(source), expected);
        }
    }
}
