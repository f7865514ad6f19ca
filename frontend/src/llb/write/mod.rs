//! The LLB writer: a plan applied to the bytes of all definitions of a build.
//!
//! What changes is spliced, and with it the digests of everything that depends on it, down to the root; metadata and
//! source locations follow their ops. Everything else keeps its bytes and its place. All definitions are written together,
//! because a step of one may have to wait for a step of another.

mod edit;
mod emit;
mod further;
mod gate;
mod mountpoints;
mod primer;
mod table;
mod token;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::definition::{Definition, Digest, Vertex};
use super::wire::WireError;
use crate::graph::BuildGraph;
use crate::plan::Plan;
use table::{Row, Table};

#[cfg(test)]
mod tests;

pub use primer::{PRIME, PrimerImage};
pub(super) use token::NONE;

/// A definition that cannot be changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The bytes are not what the reader took them for.
    #[error("the build definition cannot be changed: {0}")]
    Malformed(#[from] WireError),
    /// An op of a kind that this version does not know depends on a changed one, or would have to stand in another
    /// definition too. It may hold digests where we do not look for them.
    #[error(
        "op {op} ({name}) is of a kind that this version of ci-build does not know, and depends on a step to change"
    )]
    UnknownKind {
        /// The op.
        op: Digest,
        /// What the build calls it.
        name: String,
    },
    /// Ops depend on each other in a circle, by themselves or with what the plan has them wait for.
    #[error("the build definition depends on itself")]
    Cycle,
    /// The plan is for other definitions.
    #[error("the plan names step {0}, which is not in this build")]
    NoSuchStep(String),
    /// Nothing can be mounted in a step that runs no command, so it cannot wait.
    #[error("step {0} runs no command, so it cannot wait for others")]
    NoCommand(Digest),
    /// A step that leaves nothing behind: nobody can tell when it has ended.
    #[error("step {0} has no result, so nobody can wait for it")]
    NoResult(Digest),
    /// There are caches to prepare, and no image to do it in.
    #[error("caches have to be prepared, but the engine did not name this frontend's image")]
    NoImage,
}

/// The new bytes of a build's definitions, and what became of their ops.
#[derive(Debug, Clone)]
pub struct Written<'a> {
    /// The encoded `pb.Definition`s in their order: borrowed where nothing changed.
    pub definitions: Vec<Cow<'a, [u8]>>,
    /// New digests of the ops that changed, by their old ones.
    pub renamed: HashMap<Digest, Digest>,
    /// Whether ops became equal, which are one then, and with them the caches that start from their results. So caches may
    /// be in conflict that were not before.
    pub has_merged: bool,
}

/// Applies a plan to the definitions that `graph` was read from. `image` is where a primer runs; without a primer it is not
/// needed.
///
/// # Errors
/// The definitions are malformed, an op that must change is of an unknown kind, or the plan is none for this build.
pub fn write<'a>(
    definitions: &'a [Definition],
    graph: &BuildGraph,
    plan: &'a Plan,
    image: Option<&'a PrimerImage>,
) -> Result<Written<'a>, WriteError> {
    let mut table = Table::of(definitions);
    table.edit(graph, plan)?;
    let primer = primer::add(&mut table, graph, plan, image)?;
    gate::add(&mut table, graph, plan, primer)?;
    written(definitions, &table, &|_, op| Ok(Cow::Borrowed(op)))
}

/// Makes another op of one, given its bytes with the new names of its inputs.
pub(super) type Change<'c> = dyn for<'o> Fn(&Vertex, &'o [u8]) -> Result<Cow<'o, [u8]>, WireError> + 'c;

/// Changes the ops of one definition, and with them all that depends on them.
pub(super) fn change<'a>(definition: &'a Definition, change: &Change<'_>) -> Result<Written<'a>, WriteError> {
    let definitions = std::slice::from_ref(definition);
    written(definitions, &Table::of(definitions), change)
}

fn written<'a>(
    definitions: &'a [Definition],
    table: &Table<'a>,
    change: &Change<'_>,
) -> Result<Written<'a>, WriteError> {
    let order = table.in_order()?;
    let mut ops = table.ops();
    for row in &order {
        let op = match &table[*row] {
            Row::Original(original) => {
                let op = edit::original(table, *row, original, &ops)?;
                match change(original.vertex, &op)? {
                    Cow::Borrowed(_) => op,
                    Cow::Owned(changed) => Cow::Owned(changed),
                }
            }
            Row::Token(token) => token.op(table, &ops)?,
            Row::Image(image) => image.op(),
            Row::Primer(primer) => primer.op(&ops)?,
        };
        ops.set(*row, op);
    }
    let definitions = emit::definitions(definitions, table, &order, &ops)?;
    let mut renamed = HashMap::new();
    let mut seen = HashSet::new();
    let mut has_merged = false;
    for (row, original) in table.originals() {
        let (old, new) = (&original.vertex.digest, ops.digest(row));
        has_merged |= !seen.insert(new);
        if old != new {
            renamed.insert(old.clone(), new.clone());
        }
    }
    Ok(Written { definitions, renamed, has_merged })
}
