//! One op of the build, with its inputs' new names and what the plan does to it.

use std::borrow::Cow;

use super::WriteError;
use super::table::{Ops, Original, Table};
use crate::graph::{CacheUse, Sharing};
use crate::llb::definition::Vertex;
use crate::llb::message::{self, number};
use crate::llb::wire::{self, WireError};
use crate::plan::StepEdit;

/// The op after the plan. What does not change is borrowed, or has equal bytes.
pub(super) fn original<'a>(
    table: &Table<'a>,
    row: usize,
    original: &Original<'a>,
    ops: &Ops<'a>,
) -> Result<Cow<'a, [u8]>, WriteError> {
    let mut op = Cow::Borrowed(original.bytes());
    let inputs = &table.needs(row)[..original.vertex.inputs.len()];
    let has_changed = |(place, input): (usize, &usize)| {
        ops.digest(*input).as_str() != original.vertex.op.inputs[place].digest
    };
    if inputs.iter().enumerate().any(has_changed) {
        if original.vertex.has_unknown_kind {
            return Err(original.unknown_kind());
        }
        op = Cow::Owned(rename_inputs(&op, inputs, ops)?);
    }
    if let Some(edit) = original.edit {
        op = Cow::Owned(exec(&op, original.vertex, edit)?.into_owned());
    }
    if let Some(gate) = &original.gate {
        op = Cow::Owned(gate.close(&op, original.vertex, ops)?);
    }
    Ok(op)
}

fn rename_inputs(op: &[u8], inputs: &[usize], ops: &Ops<'_>) -> Result<Vec<u8>, WireError> {
    let mut inputs = inputs.iter();
    let op = wire::map_bytes(op, number::OP_INPUTS, |input| match inputs.next() {
        Some(row) => wire::set_bytes(input, number::INPUT_DIGEST, ops.digest(*row).as_str().as_bytes()),
        None => Ok::<_, WireError>(Cow::Borrowed(input)),
    })?;
    Ok(op.into_owned())
}

fn exec<'a>(op: &'a [u8], vertex: &Vertex, edit: &StepEdit) -> Result<Cow<'a, [u8]>, WireError> {
    wire::map_bytes(op, number::OP_EXEC, |exec| {
        let mut mounts = vertex.mounts().iter().enumerate();
        let edited = wire::map_bytes(exec, number::EXEC_MOUNTS, |mount| {
            let change = mounts.next().and_then(|(place, before)| Some((before, edit.caches.get(&place)?)));
            match change {
                Some((before, change)) => cache(mount, before, change),
                None => Ok(Cow::Borrowed(mount)),
            }
        })?;
        match &edit.order {
            None => Ok(edited),
            Some(order) => Ok(Cow::Owned(wire::permute(&edited, number::EXEC_MOUNTS, order)?.into_owned())),
        }
    })
}

/// A cache mount with another id or sharing mode. What stays keeps its bytes: an id need not be text, and a sharing mode
/// need not be one that we know.
pub(super) fn cache<'a>(
    mount: &'a [u8],
    before: &message::Mount,
    after: &CacheUse,
) -> Result<Cow<'a, [u8]>, WireError> {
    let Some(before) = &before.cache_opt else { return Ok(Cow::Borrowed(mount)) };
    wire::map_bytes(mount, number::MOUNT_CACHE_OPT, |opt| {
        let mut opt = Cow::Borrowed(opt);
        if before.sharing() != after.sharing {
            let value = sharing(after.sharing);
            opt = Cow::Owned(wire::set_varint(&opt, number::CACHE_OPT_SHARING, value)?.into_owned());
        }
        if before.id() != after.key.id {
            let id = after.key.id.as_bytes();
            opt = Cow::Owned(wire::set_bytes(&opt, number::CACHE_OPT_ID, id)?.into_owned());
        }
        Ok(opt)
    })
}

/// `pb.CacheSharingOpt`.
fn sharing(sharing: Sharing) -> u64 {
    match sharing {
        Sharing::Shared => 0,
        Sharing::Private => 1,
        Sharing::Locked => 2,
    }
}
