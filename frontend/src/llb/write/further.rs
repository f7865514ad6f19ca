//! Ops that a definition gets: vertices of ours, and what stood in another definition alone, with all that is known of it.

use std::collections::HashMap;

use prost::Message;

use super::WriteError;
use super::table::{Ops, Row, Table};
use crate::llb::definition::Definition;
use crate::llb::message::{self, number};
use crate::llb::ours::{self, Role};
use crate::llb::wire::{self, Field, Value, WireError, encode_bytes};

/// What is to be added to one definition.
#[derive(Debug, Default)]
pub(super) struct Further<'a> {
    ops: Vec<&'a [u8]>,
    /// Entries of the maps, encoded.
    metadata: Vec<Vec<u8>>,
    locations: Vec<Vec<u8>>,
    /// All source files, the definition's own first.
    sources: Vec<&'a [u8]>,
    own_sources: usize,
}

/// What a definition knows of its ops: the encoded values of its maps, by digest.
#[derive(Debug)]
pub(super) struct Known<'a> {
    metadata: HashMap<&'a [u8], &'a [u8]>,
    locations: HashMap<&'a [u8], &'a [u8]>,
}

impl<'a> Known<'a> {
    fn of(definition: &'a Definition) -> Result<Self, WireError> {
        let mut known = Self {
            metadata: entries(definition.bytes(), number::DEFINITION_METADATA)?,
            locations: HashMap::new(),
        };
        for field in wire::fields(definition.bytes()) {
            if let Field { number: number::DEFINITION_SOURCE, value: Value::Bytes(source), .. } = field? {
                known.locations.extend(entries(source, number::SOURCE_LOCATIONS)?);
            }
        }
        Ok(known)
    }
}

fn entries(message: &[u8], map: u32) -> Result<HashMap<&[u8], &[u8]>, WireError> {
    let mut entries = HashMap::new();
    for field in wire::fields(message) {
        let field = field?;
        if let (true, Value::Bytes(entry)) = (field.number == map, field.value)
            && let Some(key) = wire::get_bytes(entry, number::MAP_KEY)?
        {
            entries.insert(key, wire::get_bytes(entry, number::MAP_VALUE)?.unwrap_or_default());
        }
    }
    Ok(entries)
}

fn entry(key: &str, value: &[u8]) -> Vec<u8> {
    [encode_bytes(number::MAP_KEY, key.as_bytes()), encode_bytes(number::MAP_VALUE, value)].concat()
}

impl<'a> Further<'a> {
    /// Nothing yet.
    pub(super) fn of(definition: &'a Definition) -> Self {
        let sources: Vec<_> = definition.sources().iter().map(Vec::as_slice).collect();
        Self { own_sources: sources.len(), sources, ..Self::default() }
    }

    /// Adds a vertex. What is known of ops elsewhere is looked up once for each definition.
    pub(super) fn push(
        &mut self,
        row: usize,
        table: &Table<'a>,
        ops: &'a Ops<'a>,
        known: &mut HashMap<usize, Known<'a>>,
    ) -> Result<(), WriteError> {
        let digest = ops.digest(row).as_str();
        self.ops.push(ops.bytes(row));
        let metadata = match &table[row] {
            Row::Token(token) => ours::metadata(Role::Token, &token.title),
            Row::Image(_) => ours::metadata(Role::Image, "load the frontend's image"),
            Row::Primer(_) => ours::metadata(Role::Primer, "prepare caches"),
            Row::Original(original) if original.vertex.has_unknown_kind => {
                return Err(original.unknown_kind());
            }
            Row::Original(original) => {
                let (place, definition) = original.definition;
                let known = match known.entry(place) {
                    std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
                    std::collections::hash_map::Entry::Vacant(place) => place.insert(Known::of(definition)?),
                };
                let old = original.vertex.digest.as_str().as_bytes();
                if let Some(locations) = known.locations.get(old) {
                    let locations = self.locations(locations, definition)?;
                    self.locations.push(entry(digest, &locations));
                }
                match known.metadata.get(old) {
                    Some(metadata) => metadata.to_vec(),
                    None => return Ok(()),
                }
            }
        };
        self.metadata.push(entry(digest, &metadata));
        Ok(())
    }

    /// Locations of another definition: its source files may have other numbers here.
    fn locations(&mut self, locations: &[u8], from: &'a Definition) -> Result<Vec<u8>, WireError> {
        let decoded = message::Locations::decode(locations)?;
        let mut indices = decoded.locations.iter().map(|location| usize::try_from(location.source_index));
        let locations = wire::map_bytes(locations, number::LOCATIONS_LOCATION, |location| {
            let source = indices.next().and_then(|index| from.sources().get(index.ok()?));
            match source {
                Some(source) => {
                    let index = self.source(source) as u64;
                    wire::set_varint(location, number::LOCATION_SOURCE, index)
                }
                None => Ok::<_, WireError>(location.into()),
            }
        })?;
        Ok(locations.into_owned())
    }

    fn source(&mut self, source: &'a [u8]) -> usize {
        self.sources.iter().position(|known| *known == source).unwrap_or_else(|| {
            self.sources.push(source);
            self.sources.len() - 1
        })
    }

    /// The definition with all that in it. The root stays the last op.
    pub(super) fn add_to(&self, definition: &[u8]) -> Result<Vec<u8>, WireError> {
        let encode = |number, values: &[Vec<u8>]| -> Vec<u8> {
            values.iter().flat_map(|value| encode_bytes(number, value)).collect()
        };
        let ops: Vec<u8> = self.ops.iter().flat_map(|op| encode_bytes(number::DEFINITION_DEF, op)).collect();
        let definition = wire::insert_before_last(definition, number::DEFINITION_DEF, &ops)?;
        let metadata = encode(number::DEFINITION_METADATA, &self.metadata);
        let definition = wire::append(&definition, number::DEFINITION_METADATA, &metadata)?;
        let sources = &self.sources[self.own_sources..];
        if self.locations.is_empty() && sources.is_empty() {
            return Ok(definition);
        }
        // The last occurrence is the one that the others' files are counted before.
        let source = wire::get_bytes(&definition, number::DEFINITION_SOURCE)?.unwrap_or_default();
        let locations = encode(number::SOURCE_LOCATIONS, &self.locations);
        let source = wire::append(source, number::SOURCE_LOCATIONS, &locations)?;
        let files: Vec<u8> =
            sources.iter().flat_map(|source| encode_bytes(number::SOURCE_INFOS, source)).collect();
        let source = wire::append(&source, number::SOURCE_INFOS, &files)?;
        Ok(wire::set_bytes(&definition, number::DEFINITION_SOURCE, &source)?.into_owned())
    }
}
