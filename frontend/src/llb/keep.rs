//! `--no-cache` that empties nobody's cache mounts.
//!
//! BuildKit runs an op with `ignore_cache` anew, and empties its cache mounts before, each time that it loads the definition
//! (`solver/llbsolver/bridge.go`, `detectPrunedCacheID`). An op that no build had before runs anew as well, and empties
//! nothing. So the mark goes, and a nonce comes.
//!
//! The nonce is the name of a secret that nobody provides, mounted as an optional one. BuildKit leaves such a mount out
//! before the step starts (`PrepareMounts` in `frontend/gateway/container`, the same in 0.8), so the process sees no file, no
//! mountpoint and no variable of it. An optional secret in the environment would show, as an empty variable.

use std::borrow::Cow;
use std::collections::HashSet;

use super::definition::{Definition, Digest, Vertex};
use super::message::{MOUNT_TYPE_SECRET, mount_kind, number};
use super::wire::{self, WireError};
use super::write::{self, NONE, WriteError};
use crate::graph::MountKind;

/// Where the secret would be mounted. It lies in no other mount, so it does not look like a mountpoint to make in one.
const TARGET: &str = "/.ci-build-no-cache";

/// The definition in which the steps that mount caches run anew because of the nonce, where they did because of
/// `--no-cache`. Borrowed where there is no such step.
///
/// # Errors
/// The definition is malformed, or an op of an unknown kind depends on such a step.
pub fn keep_caches<'a>(definition: &'a Definition, nonce: &str) -> Result<Cow<'a, [u8]>, WriteError> {
    let runs_anew = |vertex: &Vertex| mounts_caches(vertex) && definition.ignores_cache(&vertex.digest);
    let secret = wire::encode_bytes(number::EXEC_MOUNTS, &secret(nonce));
    let mut written = write::change(definition, &|vertex, op| {
        if !runs_anew(vertex) {
            return Ok(Cow::Borrowed(op));
        }
        wire::map_bytes(op, number::OP_EXEC, |exec| {
            Ok(Cow::Owned(wire::append(exec, number::EXEC_MOUNTS, &secret)?))
        })
    })?;
    let bytes = written.definitions.remove(0);
    let marked = definition.vertices.iter().filter(|vertex| runs_anew(vertex));
    let marked: HashSet<_> =
        marked.filter_map(|vertex| written.renamed.get(&vertex.digest)).map(Digest::as_str).collect();
    if marked.is_empty() {
        return Ok(bytes);
    }
    let unmarked = wire::map_bytes(&bytes, number::DEFINITION_METADATA, |entry| unmark(entry, &marked))?;
    Ok(Cow::Owned(unmarked.into_owned()))
}

fn mounts_caches(vertex: &Vertex) -> bool {
    vertex.mounts().iter().any(|mount| mount_kind(mount.mount_type) == MountKind::Cache)
}

/// The encoded `pb.Mount`.
fn secret(nonce: &str) -> Vec<u8> {
    let id = format!("ci-build-no-cache-{nonce}");
    let secret = [
        wire::encode_bytes(number::SECRET_OPT_ID, id.as_bytes()),
        wire::encode_varint(number::SECRET_OPT_OPTIONAL, 1),
    ];
    [
        wire::encode_varint(number::MOUNT_INPUT, NONE),
        wire::encode_bytes(number::MOUNT_DEST, TARGET.as_bytes()),
        wire::encode_varint(number::MOUNT_OUTPUT, NONE),
        wire::encode_varint(number::MOUNT_TYPE, MOUNT_TYPE_SECRET as u64),
        wire::encode_bytes(number::MOUNT_SECRET_OPT, &secret.concat()),
    ]
    .concat()
}

/// Takes the mark off the metadata of one of these ops.
fn unmark<'a>(entry: &'a [u8], marked: &HashSet<&str>) -> Result<Cow<'a, [u8]>, WireError> {
    let key = wire::get_bytes(entry, number::MAP_KEY)?.and_then(|key| std::str::from_utf8(key).ok());
    if !key.is_some_and(|key| marked.contains(key)) {
        return Ok(Cow::Borrowed(entry));
    }
    wire::map_bytes(entry, number::MAP_VALUE, |value| {
        wire::set_varint(value, number::METADATA_IGNORE_CACHE, 0)
    })
}
