//! Tokens: what a step mounts to wait for others without being changed by what they made.
//!
//! A token is a `FileOp` that makes one empty directory, then copies from each of the results to wait for whatever matches a
//! pattern that nothing matches. So it ends after them, and holds the same whatever they hold. A read-only mount is keyed
//! by its content (`getMountDeps` in `solver/llbsolver/ops/exec.go`), so the step that mounts it stays cached when they
//! change, and when others come before it than in the build before.

use std::borrow::Cow;

use super::WriteError;
use super::table::{Ops, Row, Table};
use crate::llb::message::number;
use crate::llb::wire::{encode_bytes, encode_varint};

/// What a step waits with.
#[derive(Debug)]
pub(super) struct Token {
    /// The name of its only directory, of which it is known.
    pub directory: String,
    /// The vertices to wait for.
    pub waits_for: Vec<usize>,
    /// What people see of it.
    pub title: String,
}

/// Nothing is called so, as far as anybody can know; and if something were, the step would run once more.
const NOTHING: &str = "/.ci-build-no-such-path-*";

/// -1 as protobuf has it: no input, no output, no value.
pub(in crate::llb) const NONE: u64 = u64::MAX;

impl Token {
    /// The encoded op (field numbers: `solver/pb/ops.proto`).
    pub(super) fn op<'a>(&self, table: &Table<'a>, ops: &Ops<'a>) -> Result<Cow<'a, [u8]>, WriteError> {
        let count = self.waits_for.len();
        let mut op = Vec::new();
        for row in &self.waits_for {
            let output = match &table[*row] {
                Row::Original(original) => original.output()?,
                _ => 0,
            };
            op.extend(input(ops.digest(*row).as_str(), output));
        }
        let directory = [encode_bytes(1, self.directory.as_bytes()), encode_varint(2, 0o755)].concat();
        let mut actions = action([NONE, NONE], count == 0, &encode_bytes(6, &directory));
        for place in 0..count {
            let onto = count + place; // The results of the actions are counted behind the inputs.
            actions.extend(action(
                [onto as u64, place as u64],
                place + 1 == count,
                &encode_bytes(4, &copy()),
            ));
        }
        op.extend(encode_bytes(number::OP_FILE, &actions));
        Ok(Cow::Owned(op))
    }
}

/// An encoded input of an op.
pub(super) fn input(digest: &str, output: u64) -> Vec<u8> {
    let mut input = encode_bytes(1, digest.as_bytes());
    if output > 0 {
        input.extend(encode_varint(2, output));
    }
    encode_bytes(1, &input)
}

/// An action of a `FileOp`, onto the first and from the second input. The last one's result is the op's.
fn action(inputs: [u64; 2], is_last: bool, what: &[u8]) -> Vec<u8> {
    let output = if is_last { 0 } else { NONE };
    let numbers = inputs.into_iter().chain([output]).zip(1..);
    let mut action: Vec<u8> = numbers.flat_map(|(value, field)| encode_varint(field, value)).collect();
    action.extend(what);
    encode_bytes(2, &action)
}

fn copy() -> Vec<u8> {
    let flag = |field| encode_varint(field, 1);
    // Of what is copied, permissions and time stay.
    let (mode, time) = (encode_varint(4, NONE), encode_varint(11, NONE));
    [encode_bytes(1, NOTHING.as_bytes()), encode_bytes(2, b"/"), mode, flag(9), flag(10), time].concat()
}
