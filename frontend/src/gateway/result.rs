//! The result of a frontend: references to what was solved, and metadata that is passed on as it is.
//!
//! References stand in three places: alone, one a platform, and with the attestations.

use std::borrow::Cow;

use prost::Message;

use super::messages::{Ref, number};
use crate::llb::wire::{self, Field, Value, WireError};

/// A reference of a result.
#[derive(Debug, Clone)]
pub(super) struct Reference {
    /// Which platform's it is, where there are several.
    pub platform: Option<String>,
    /// Empty for an empty image.
    pub id: String,
    /// The encoded definition.
    pub definition: Option<Vec<u8>>,
}

/// The references of an encoded `Result`, in a fixed order.
pub(super) fn references(result: &[u8]) -> Result<Vec<Reference>, WireError> {
    let mut references = Vec::new();
    map(result, &mut |key, reference| {
        let Ref { id, def } = Ref::decode(reference)?;
        let platform = key.map(|key| String::from_utf8_lossy(key).into_owned());
        references.push(Reference { platform, id, definition: def });
        Ok(Cow::Borrowed(reference))
    })?;
    Ok(references)
}

/// The same result with other references, in the order of [`references`]. Everything else keeps its bytes. An empty
/// one stays as it was: it stands for an empty image.
pub(super) fn with_references(result: &[u8], ids: &[Option<String>]) -> Result<Vec<u8>, WireError> {
    let mut ids = ids.iter();
    let result = map(result, &mut |_, reference| {
        Ok(match ids.next().and_then(Option::as_ref) {
            Some(id) => Cow::Owned(Ref { id: id.clone(), def: None }.encode_to_vec()),
            None => Cow::Borrowed(reference),
        })
    })?;
    Ok(result.into_owned())
}

/// The metadata of a `Result` under a key. Of several entries the last one counts.
pub(super) fn metadata<'a>(result: &'a [u8], key: &str) -> Result<Option<&'a [u8]>, WireError> {
    let mut value = None;
    for field in wire::fields(result) {
        if let Field { number: number::RESULT_METADATA, value: Value::Bytes(entry), .. } = field?
            && wire::get_bytes(entry, number::MAP_KEY)? == Some(key.as_bytes())
        {
            value = wire::get_bytes(entry, number::MAP_VALUE)?;
        }
    }
    Ok(value)
}

/// The same result with other metadata under a key. Everything else keeps its bytes.
pub(super) fn with_metadata(result: &[u8], key: &str, value: &[u8]) -> Result<Vec<u8>, WireError> {
    let key = key.as_bytes();
    let mut is_there = false;
    let changed = wire::map_bytes(result, number::RESULT_METADATA, |entry| {
        if wire::get_bytes(entry, number::MAP_KEY)? != Some(key) {
            return Ok::<_, WireError>(Cow::Borrowed(entry));
        }
        is_there = true;
        wire::set_bytes(entry, number::MAP_VALUE, value)
    })?;
    if is_there {
        return Ok(changed.into_owned());
    }
    let entry = [wire::encode_bytes(number::MAP_KEY, key), wire::encode_bytes(number::MAP_VALUE, value)];
    let entry = wire::encode_bytes(number::RESULT_METADATA, &entry.concat());
    wire::append(&changed, number::RESULT_METADATA, &entry)
}

/// Makes another reference of one, told the key that it stands under.
type Change<'c> = dyn for<'a> FnMut(Option<&'a [u8]>, &'a [u8]) -> Result<Cow<'a, [u8]>, WireError> + 'c;

fn map<'a>(result: &'a [u8], change: &mut Change<'_>) -> Result<Cow<'a, [u8]>, WireError> {
    let result = wire::map_bytes(result, number::RESULT_REF, |reference| change(None, reference))?;
    let result = then(result, |result| {
        wire::map_bytes(result, number::RESULT_REFS, |refs| {
            wire::map_bytes(refs, number::REF_MAP_REFS, |entry| {
                let key = wire::get_bytes(entry, number::MAP_KEY)?;
                wire::map_bytes(entry, number::MAP_VALUE, |reference| change(key, reference))
            })
        })
    })?;
    then(result, |result| {
        wire::map_bytes(result, number::RESULT_ATTESTATIONS, |entry| {
            let key = wire::get_bytes(entry, number::MAP_KEY)?;
            wire::map_bytes(entry, number::MAP_VALUE, |attestations| {
                wire::map_bytes(attestations, number::ATTESTATIONS_ATTESTATION, |attestation| {
                    wire::map_bytes(attestation, number::ATTESTATION_REF, |reference| change(key, reference))
                })
            })
        })
    })
}

/// Applies a change to what an earlier one made.
fn then<'a>(
    message: Cow<'a, [u8]>,
    change: impl for<'b> FnOnce(&'b [u8]) -> Result<Cow<'b, [u8]>, WireError>,
) -> Result<Cow<'a, [u8]>, WireError> {
    match message {
        Cow::Borrowed(message) => change(message),
        Cow::Owned(message) => Ok(Cow::Owned(change(&message)?.into_owned())),
    }
}

/// A door for the fuzzer, which cannot name the crate's private messages.
#[doc(hidden)]
pub mod fuzzing {
    use super::{WireError, references, with_references};

    /// The ids of the references of an encoded `Result`.
    ///
    /// # Errors
    /// The result is malformed.
    pub fn reference_ids(result: &[u8]) -> Result<Vec<String>, WireError> {
        Ok(references(result)?.into_iter().map(|reference| reference.id).collect())
    }

    /// The same result with other references, in the order of [`reference_ids`].
    ///
    /// # Errors
    /// The result is malformed.
    pub fn replace_references(result: &[u8], ids: &[Option<String>]) -> Result<Vec<u8>, WireError> {
        with_references(result, ids)
    }
}
