//! Gates: the one more mount by which a step waits.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::WriteError;
use super::table::{Ops, Original, Row, Table};
use super::token::{self, Token};
use crate::graph::{BuildGraph, StepIndex};
use crate::llb::definition::{Digest, Vertex};
use crate::llb::message::number;
use crate::llb::wire::{self, Value, WireError, encode_bytes, encode_varint};
use crate::plan::Plan;

/// Where a token is mounted: `/dev` is a file system of its own in every step, so the mountpoint is in no image.
const PLACE: &str = "/dev/.ci-build-after";

/// Where it is mounted in a step with a `/dev` of its own. On Docker 20.10 an empty directory stays in the image then, as that
/// of every other mount does there.
const PLACE_WITHOUT_DEV: &str = "/.ci-build-after";

/// A step's read-only mount of a token, or of what the primer leaves.
#[derive(Debug)]
pub(super) struct Gate {
    /// The token's row.
    pub token: usize,
    /// The place among the op's inputs of a token that it has already. The new one waits for that and stands in its place:
    /// a step has one gate.
    pub instead_of: Option<usize>,
}

/// What a step waits for, as the plan has it.
#[derive(Debug, Default)]
struct Wait {
    steps: Vec<StepIndex>,
    /// Whether the step stands in an order: who is first there waits for nobody.
    is_ordered: bool,
    primer: bool,
}

/// Steps in the order of the file. The order of the definitions is another one in every build: where a `FileOp` has several
/// inputs, Go's map decides which one is walked first (`client/llb/fileop.go`, `Inputs`).
fn in_file_order(graph: &BuildGraph, steps: &mut Vec<StepIndex>) {
    let place = |step: &StepIndex| {
        let step = graph.step(*step);
        (&step.location, &step.target, &step.id)
    };
    steps.sort_by(|a, b| place(a).cmp(&place(b)));
    steps.dedup();
}

/// Has every step wait that the plan has wait, or come first where others do. `primer` is its row.
pub(super) fn add(
    table: &mut Table<'_>,
    graph: &BuildGraph,
    plan: &Plan,
    primer: Option<usize>,
) -> Result<(), WriteError> {
    let mut waits = BTreeMap::<StepIndex, Wait>::new();
    for (step, edit) in plan.edits.iter().filter(|(_, edit)| !edit.after.is_empty()) {
        let wait = waits.entry(*step).or_default();
        wait.steps.extend(edit.after.values().flatten());
        wait.is_ordered = true;
    }
    for step in plan.primer.iter().flat_map(|primer| &primer.before) {
        waits.entry(*step).or_default().primer = true;
    }
    let mut gated: Vec<_> = waits.keys().copied().collect();
    in_file_order(graph, &mut gated);

    let has_platforms = graph.is_multi_platform();
    let mut alike = HashMap::<Digest, usize>::new();
    for step in gated {
        let Some(mut wait) = waits.remove(&step) else { continue };
        in_file_order(graph, &mut wait.steps);
        let (row, original) = table.step(graph, step)?;
        if original.vertex.op.exec.is_none() {
            return Err(WriteError::NoCommand(original.vertex.digest.clone()));
        }
        let name = name(original, graph.step(step).stage.as_deref())?;
        let number = alike.entry(name.clone()).or_default();
        let name = Digest::of(format!("{name} {number}").as_bytes());
        *number += 1;

        let instead_of = table.token_of(row);
        let mut waits_for: Vec<_> = primer.filter(|_| wait.primer).into_iter().collect();
        for before in &wait.steps {
            waits_for.push(table.row_of(graph, *before)?);
        }
        if instead_of.is_some() && waits_for.is_empty() {
            continue;
        }
        waits_for.extend(instead_of.map(|place| table.needs(row)[place]));
        let token = match waits_for[..] {
            // What it leaves is as good as a token. But who comes first in an order has a token like all in it: what a
            // step mounts must not depend on its place.
            [only] if Some(only) == primer && !wait.is_ordered => only,
            _ => {
                let token = Token {
                    directory: format!("/after-{}", name.hex()),
                    title: title(graph, step, &wait, has_platforms),
                    waits_for: waits_for.clone(),
                };
                table.add(Row::Token(token), waits_for)
            }
        };
        table.gate(row, Gate { token, instead_of });
    }
    Ok(())
}

/// What a step is known by, in every build and whatever it starts from: its command line, its surroundings, its platform
/// and its stage. The op's digest is none: that of a build context is another one in every build. All but the stage is part
/// of the engine's cache key anyway (`CacheMap` in `solver/llbsolver/ops/exec.go`).
fn name(original: &Original<'_>, stage: Option<&str>) -> Result<Digest, WireError> {
    let op = original.bytes();
    let exec = wire::get_bytes(op, number::OP_EXEC)?.unwrap_or_default();
    let meta = wire::get_bytes(exec, number::EXEC_META)?.unwrap_or_default();
    let mut name = Vec::new();
    for field in wire::fields(meta) {
        let field = field?;
        if number::META_COMMAND.contains(&field.number) && matches!(field.value, Value::Bytes(_)) {
            name.extend(&meta[field.span]);
        }
    }
    name.extend(encode_bytes(100, wire::get_bytes(op, number::OP_PLATFORM)?.unwrap_or_default()));
    name.extend(encode_bytes(101, stage.unwrap_or_default().as_bytes()));
    Ok(Digest::of(&name))
}

fn title(graph: &BuildGraph, step: StepIndex, wait: &Wait, has_platforms: bool) -> String {
    let called = |step: &StepIndex| {
        let step = graph.step(*step);
        match step.built_for().filter(|_| has_platforms) {
            Some(platform) => format!("{step} on {platform}"),
            None => step.to_string(),
        }
    };
    let primer = wait.primer.then(|| "the caches".to_owned());
    let all: Vec<_> = primer.into_iter().chain(wait.steps.iter().map(called)).collect();
    let what = if all.is_empty() { "nothing".to_owned() } else { all.join(" and ") };
    format!("wait for {what} before {}", called(&step))
}

impl Gate {
    /// The op with the gate in it. Its token has its digest by now.
    pub(super) fn close(&self, op: &[u8], vertex: &Vertex, ops: &Ops<'_>) -> Result<Vec<u8>, WireError> {
        let token = ops.digest(self.token).as_str();
        if let Some(instead_of) = self.instead_of {
            let mut place = 0;
            let op = wire::map_bytes(op, number::OP_INPUTS, |input| {
                place += 1;
                if place == instead_of + 1 {
                    wire::set_bytes(input, number::INPUT_DIGEST, token.as_bytes())
                } else {
                    Ok::<_, WireError>(Cow::Borrowed(input))
                }
            })?;
            return Ok(op.into_owned());
        }
        let mount = mount(vertex);
        let op = wire::map_bytes(op, number::OP_EXEC, |exec| {
            wire::append(exec, number::EXEC_MOUNTS, &mount).map(Cow::Owned)
        })?;
        wire::append(&op, number::OP_INPUTS, &token::input(token, 0))
    }
}

/// The encoded mount, behind the op's other inputs.
fn mount(vertex: &Vertex) -> Vec<u8> {
    let has_own_dev = vertex.mounts().iter().any(|mount| mount.dest.trim_end_matches('/') == "/dev");
    let place = if has_own_dev { PLACE_WITHOUT_DEV } else { PLACE };
    let input = vertex.op.inputs.len() as u64;
    let fields = [
        encode_varint(number::MOUNT_INPUT, input),
        encode_bytes(number::MOUNT_DEST, place.as_bytes()),
        encode_varint(number::MOUNT_OUTPUT, token::NONE),
        encode_varint(number::MOUNT_READONLY, 1),
    ];
    encode_bytes(number::EXEC_MOUNTS, &fields.concat())
}
