//! The LLB writer: a plan applied to the bytes of a definition.
//!
//! What changes is spliced, and with it the digests of everything that depends on it, down to the root; metadata and
//! source locations follow their ops. Everything else keeps its bytes and its place.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::definition::{Definition, Digest, Vertex};
use super::message::{self, number};
use super::wire::{self, Field, Value, WireError};
use crate::graph::{CacheUse, Sharing};
use crate::plan::StepEdit;

/// A definition that cannot be changed as planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The bytes are not what the reader took them for.
    #[error("the build definition cannot be changed: {0}")]
    Malformed(#[from] WireError),
    /// An op of a kind that this version does not know depends on a changed one. It may hold digests where we do not
    /// look for them.
    #[error(
        "op {op} ({name}) is of a kind that this version of ci-build does not know, and depends on a step to change"
    )]
    UnknownKind {
        /// The op.
        op: Digest,
        /// What the build calls it.
        name: String,
    },
    /// Ops depend on each other in a circle.
    #[error("the build definition depends on itself")]
    Cycle,
}

/// A definition's new bytes, and what became of its ops.
#[derive(Debug, Clone)]
pub struct Written<'a> {
    /// The encoded `pb.Definition`: borrowed where nothing changed.
    pub bytes: Cow<'a, [u8]>,
    /// New digests of the ops that changed, by their old ones.
    pub renamed: HashMap<Digest, Digest>,
}

/// Applies the edits to one definition. `edits` gives what to do with the op of a digest; ops that are not in this
/// definition are passed over.
///
/// # Errors
/// The definition is malformed, or an op that must change is of an unknown kind.
pub fn write<'a>(
    definition: &'a Definition,
    edits: &dyn Fn(&Digest) -> Option<&'a StepEdit>,
) -> Result<Written<'a>, WriteError> {
    change(definition, &|vertex, op| match edits(&vertex.digest) {
        Some(edit) => edit_exec(op, vertex, edit),
        None => Ok(Cow::Borrowed(op)),
    })
}

/// Makes another op of one, given its bytes with the new names of its inputs.
pub(super) type Change<'c> = dyn for<'o> Fn(&Vertex, &'o [u8]) -> Result<Cow<'o, [u8]>, WireError> + 'c;

/// Changes the ops of a definition, and all that depends on them.
pub(super) fn change<'a>(definition: &'a Definition, change: &Change<'_>) -> Result<Written<'a>, WriteError> {
    let Changed { ops, renamed } = change_ops(definition, change)?;
    if renamed.is_empty() {
        return Ok(Written { bytes: Cow::Borrowed(definition.bytes()), renamed });
    }
    let bytes = splice_definition(definition.bytes(), &ops, &renamed)?;
    Ok(Written { bytes: Cow::Owned(bytes), renamed })
}

/// The ops that change, by their old digests: their new bytes, and their new digests.
#[derive(Default)]
struct Changed {
    ops: HashMap<Digest, Vec<u8>>,
    renamed: HashMap<Digest, Digest>,
}

fn change_ops(definition: &Definition, change: &Change<'_>) -> Result<Changed, WriteError> {
    let Changed { mut ops, mut renamed } = Changed::default();
    for place in inputs_first(&definition.vertices)? {
        let vertex = &definition.vertices[place];
        let mut op = Cow::Borrowed(&definition.bytes()[vertex.span.clone()]);
        if vertex.inputs.iter().any(|input| renamed.contains_key(&definition.vertices[*input].digest)) {
            if vertex.has_unknown_kind {
                let name = definition.name_of(&vertex.digest).unwrap_or("no name").to_owned();
                return Err(WriteError::UnknownKind { op: vertex.digest.clone(), name });
            }
            op = Cow::Owned(rename_inputs(&op, vertex, definition, &renamed)?);
        }
        let changed = change(vertex, &op)?.into_owned();
        op = Cow::Owned(changed);
        if *op != definition.bytes()[vertex.span.clone()] {
            renamed.insert(vertex.digest.clone(), Digest::of(&op));
            ops.insert(vertex.digest.clone(), op.into_owned());
        }
    }
    Ok(Changed { ops, renamed })
}

/// The places of all ops, each after those that it needs.
fn inputs_first(vertices: &[Vertex]) -> Result<Vec<usize>, WriteError> {
    let mut dependents = vec![Vec::new(); vertices.len()];
    let mut waiting_for: Vec<_> = vertices.iter().map(|vertex| vertex.inputs.len()).collect();
    for (place, vertex) in vertices.iter().enumerate() {
        for input in &vertex.inputs {
            dependents[*input].push(place);
        }
    }
    let mut order: Vec<_> = (0..vertices.len()).filter(|place| waiting_for[*place] == 0).collect();
    let mut next = 0;
    while let Some(place) = order.get(next).copied() {
        next += 1;
        for dependent in &dependents[place] {
            waiting_for[*dependent] -= 1;
            if waiting_for[*dependent] == 0 {
                order.push(*dependent);
            }
        }
    }
    if order.len() == vertices.len() { Ok(order) } else { Err(WriteError::Cycle) }
}

fn rename_inputs(
    op: &[u8],
    vertex: &Vertex,
    definition: &Definition,
    renamed: &HashMap<Digest, Digest>,
) -> Result<Vec<u8>, WireError> {
    let mut inputs = vertex.inputs.iter();
    let op = wire::map_bytes(op, number::OP_INPUTS, |input| {
        let digest = inputs.next().map(|place| &definition.vertices[*place].digest);
        match digest.and_then(|digest| renamed.get(digest)) {
            Some(digest) => wire::set_bytes(input, number::INPUT_DIGEST, digest.as_str().as_bytes()),
            None => Ok(Cow::Borrowed(input)),
        }
    })?;
    Ok(op.into_owned())
}

fn edit_exec<'a>(op: &'a [u8], vertex: &Vertex, edit: &StepEdit) -> Result<Cow<'a, [u8]>, WireError> {
    let mounts = vertex.op.exec.as_ref().map(|exec| exec.mounts.as_slice()).unwrap_or_default();
    wire::map_bytes(op, number::OP_EXEC, |exec| {
        let mut place = 0;
        let edited = wire::map_bytes(exec, number::EXEC_MOUNTS, |mount| {
            let cache = edit.caches.get(&place);
            let before = mounts.get(place).and_then(|mount| mount.cache_opt.as_ref());
            place += 1;
            let (Some(cache), Some(before)) = (cache, before) else {
                return Ok::<_, WireError>(Cow::Borrowed(mount));
            };
            wire::map_bytes(mount, number::MOUNT_CACHE_OPT, |opt| edit_cache(opt, before, cache))
        })?;
        match &edit.order {
            None => Ok(edited),
            Some(order) => Ok(Cow::Owned(wire::permute(&edited, number::EXEC_MOUNTS, order)?.into_owned())),
        }
    })
}

/// What stays keeps its bytes: an id need not be text, and a sharing mode need not be one that we know.
fn edit_cache<'a>(
    opt: &'a [u8],
    before: &message::CacheOpt,
    cache: &CacheUse,
) -> Result<Cow<'a, [u8]>, WireError> {
    let mut opt = Cow::Borrowed(opt);
    if before.sharing() != cache.sharing {
        let value = sharing(cache.sharing);
        opt = Cow::Owned(wire::set_varint(&opt, number::CACHE_OPT_SHARING, value)?.into_owned());
    }
    if before.id() != cache.key.id {
        let id = cache.key.id.as_bytes();
        opt = Cow::Owned(wire::set_bytes(&opt, number::CACHE_OPT_ID, id)?.into_owned());
    }
    Ok(opt)
}

/// `pb.CacheSharingOpt`.
fn sharing(sharing: Sharing) -> u64 {
    match sharing {
        Sharing::Shared => 0,
        Sharing::Private => 1,
        Sharing::Locked => 2,
    }
}

/// Puts the changed ops in their places and re-keys what is known about them. Two ops that became equal are one; the
/// last op stays the last, since that is what makes it the root.
fn splice_definition(
    bytes: &[u8],
    ops: &HashMap<Digest, Vec<u8>>,
    renamed: &HashMap<Digest, Digest>,
) -> Result<Vec<u8>, WireError> {
    let renamed: HashMap<_, _> = renamed.iter().map(|(old, new)| (old.as_str(), new.as_str())).collect();
    let definition = wire::map_bytes(bytes, number::DEFINITION_DEF, |op| {
        Ok::<_, WireError>(match ops.get(&Digest::of(op)) {
            Some(changed) => Cow::Owned(changed.clone()),
            None => Cow::Borrowed(op),
        })
    })?;
    let definition = merge_equal_ops(&definition)?;
    let definition = rename_keys(&definition, number::DEFINITION_METADATA, &renamed)?;
    let definition = wire::map_bytes(&definition, number::DEFINITION_SOURCE, |source| {
        rename_keys(source, number::SOURCE_LOCATIONS, &renamed)
    })?;
    Ok(definition.into_owned())
}

fn merge_equal_ops(definition: &[u8]) -> Result<Cow<'_, [u8]>, WireError> {
    let mut digests = Vec::new();
    for field in wire::fields(definition) {
        if let Field { number: number::DEFINITION_DEF, value: Value::Bytes(op), .. } = field? {
            digests.push(Digest::of(op));
        }
    }
    let Some(root) = digests.pop() else { return Ok(Cow::Borrowed(definition)) };
    let mut seen = HashSet::from([&root]);
    let mut keep = digests.iter().map(|digest| seen.insert(digest)).chain([true]);
    wire::retain_bytes(definition, number::DEFINITION_DEF, |_| keep.next().unwrap_or(true))
}

/// Re-keys a map whose keys are digests.
fn rename_keys<'a>(
    message: &'a [u8],
    map: u32,
    renamed: &HashMap<&str, &str>,
) -> Result<Cow<'a, [u8]>, WireError> {
    wire::map_bytes(message, map, |entry| {
        let key = wire::get_bytes(entry, number::MAP_KEY)?;
        let new = key.and_then(|key| std::str::from_utf8(key).ok()).and_then(|key| renamed.get(key));
        match new {
            Some(new) => wire::set_bytes(entry, number::MAP_KEY, new.as_bytes()),
            None => Ok(Cow::Borrowed(entry)),
        }
    })
}
