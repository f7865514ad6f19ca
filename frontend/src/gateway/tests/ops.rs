//! Definitions made by hand (field numbers: `solver/pb/ops.proto`).

use crate::llb::Digest;
use crate::llb::wire::{encode_bytes, encode_varint};

/// An op with these inputs and fields.
pub(super) fn op(inputs: &[&[u8]], fields: &[u8]) -> Vec<u8> {
    let input = |op: &&[u8]| encode_bytes(1, &encode_bytes(1, Digest::of(op).as_str().as_bytes()));
    inputs.iter().flat_map(input).chain(fields.iter().copied()).collect()
}

/// An exec op with these inputs that mounts a cache, which starts from the first of them.
pub(super) fn exec(inputs: &[&[u8]], id: &str, name: &str, sharing: u64) -> Vec<u8> {
    let input = if inputs.is_empty() { -1_i64 as u64 } else { 0 };
    let cache = [encode_bytes(1, id.as_bytes()), encode_varint(2, sharing)].concat();
    let mount =
        [encode_varint(1, input), encode_bytes(3, b"/x"), encode_varint(6, 3), encode_bytes(20, &cache)];
    let meta = encode_bytes(1, name.as_bytes());
    op(inputs, &encode_bytes(2, &[encode_bytes(1, &meta), encode_bytes(2, &mount.concat())].concat()))
}

/// The definition of these ops.
pub(super) fn definition(ops: &[&[u8]]) -> Vec<u8> {
    ops.iter().flat_map(|op| encode_bytes(1, op)).collect()
}
