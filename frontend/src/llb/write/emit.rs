//! Definitions put together again: changed ops in their places, further ones before the root, and what is known of each
//! under its new name.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::WriteError;
use super::further::Further;
use super::table::{Ops, Table};
use crate::llb::definition::{Definition, Digest};
use crate::llb::message::number;
use crate::llb::wire::{self, Field, Value, WireError};

/// All definitions after the plan. `order` has each row after those that it needs.
pub(super) fn definitions<'a>(
    definitions: &'a [Definition],
    table: &Table<'a>,
    order: &[usize],
    ops: &Ops<'a>,
) -> Result<Vec<Cow<'a, [u8]>>, WriteError> {
    let digests = table.originals().map(|(row, original)| (original.vertex.digest.as_str(), ops.digest(row)));
    let renamed: HashMap<_, _> = digests.filter(|(old, new)| *old != new.as_str()).collect();
    let mut known = HashMap::new();
    let mut written = Vec::with_capacity(definitions.len());
    for definition in definitions {
        let rows = further_rows(definition, table, order, ops);
        let changes = definition.vertices.iter().any(|vertex| renamed.contains_key(vertex.digest.as_str()));
        written.push(if rows.is_empty() && !changes {
            Cow::Borrowed(definition.bytes())
        } else {
            let bytes = rename(definition, table, ops, &renamed)?;
            let mut further = Further::of(definition);
            for row in rows {
                further.push(row, table, ops, &mut known)?;
            }
            Cow::Owned(further.add_to(&bytes)?)
        });
    }
    Ok(written)
}

/// What a definition needs and does not hold yet: each after what it needs itself.
fn further_rows(definition: &Definition, table: &Table<'_>, order: &[usize], ops: &Ops<'_>) -> Vec<usize> {
    let own = definition.vertices.iter().filter_map(|vertex| table.row_of_digest(&vertex.digest));
    let mut pending: Vec<_> = own.collect();
    let mut known: HashSet<_> = pending.iter().map(|row| ops.digest(*row)).collect();
    let mut is_needed = vec![false; table.len()];
    while let Some(row) = pending.pop() {
        if !std::mem::replace(&mut is_needed[row], true) {
            pending.extend(table.needs(row));
        }
    }
    order.iter().copied().filter(|row| is_needed[*row] && known.insert(ops.digest(*row))).collect()
}

/// The definition with changed ops in their places, and what is known of them under their new names. Ops that became equal
/// are one; the last op stays the last, since that is what makes it the root.
fn rename(
    definition: &Definition,
    table: &Table<'_>,
    ops: &Ops<'_>,
    renamed: &HashMap<&str, &Digest>,
) -> Result<Vec<u8>, WireError> {
    let mut vertices = definition.vertices.iter();
    let bytes = wire::map_bytes(definition.bytes(), number::DEFINITION_DEF, |op| {
        let row = vertices.next().and_then(|vertex| table.row_of_digest(&vertex.digest));
        Ok::<_, WireError>(match row {
            Some(row) => Cow::Owned(ops.bytes(row).to_vec()),
            None => Cow::Borrowed(op),
        })
    })?;
    let bytes = merge_equal_ops(&bytes)?;
    let bytes = rename_keys(&bytes, number::DEFINITION_METADATA, renamed)?;
    let bytes = wire::map_bytes(&bytes, number::DEFINITION_SOURCE, |source| {
        rename_keys(source, number::SOURCE_LOCATIONS, renamed)
    })?;
    Ok(bytes.into_owned())
}

fn merge_equal_ops(definition: &[u8]) -> Result<Cow<'_, [u8]>, WireError> {
    let mut ops = Vec::new();
    for field in wire::fields(definition) {
        if let Field { number: number::DEFINITION_DEF, value: Value::Bytes(op), .. } = field? {
            ops.push(op);
        }
    }
    let Some(root) = ops.pop() else { return Ok(Cow::Borrowed(definition)) };
    let mut seen = HashSet::from([root]);
    let mut keep = ops.into_iter().map(|op| seen.insert(op)).chain([true]);
    wire::retain_bytes(definition, number::DEFINITION_DEF, |_| keep.next().unwrap_or(true))
}

/// Re-keys a map whose keys are digests.
fn rename_keys<'a>(
    message: &'a [u8],
    map: u32,
    renamed: &HashMap<&str, &Digest>,
) -> Result<Cow<'a, [u8]>, WireError> {
    wire::map_bytes(message, map, |entry| {
        let key = wire::get_bytes(entry, number::MAP_KEY)?;
        let new = key.and_then(|key| std::str::from_utf8(key).ok()).and_then(|key| renamed.get(key));
        match new {
            Some(new) => wire::set_bytes(entry, number::MAP_KEY, new.as_str().as_bytes()),
            None => Ok(Cow::Borrowed(entry)),
        }
    })
}
