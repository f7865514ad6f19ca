//! Makes a definition of bytes that are nearly one.
//!
//! An op names its inputs by the hashes of their bytes, so a mutation within an op would cut it off from all that need
//! it, and the reader would refuse nearly everything. Here each name of an op is taken for a number instead, by its
//! last byte: it is replaced by the digest of one of the ops before it.

use std::borrow::Cow;

use ci_build_frontend::llb::Digest;
use ci_build_frontend::llb::wire::{self, Value, WireError};

type Change<'a> = Result<Cow<'a, [u8]>, WireError>;

/// The definition with every name resolved. Field numbers are those of BuildKit's `solver/pb/ops.proto`.
pub fn relink(definition: &[u8]) -> Result<Vec<u8>, WireError> {
    let mut digests = Vec::new();
    let linked = wire::map_bytes(definition, 1, |op| -> Change<'_> {
        let linked = if digests.is_empty() {
            wire::retain_bytes(op, 1, |_| false)?
        } else {
            wire::map_bytes(op, 1, |input| name(input, &digests))?
        };
        digests.push(Digest::of(&linked));
        Ok(linked)
    })?;
    let linked = wire::map_bytes(&linked, 2, |entry| name(entry, &digests))?;
    let linked =
        wire::map_bytes(&linked, 3, |source| wire::map_bytes(source, 1, |entry| name(entry, &digests)))?;
    Ok(linked.into_owned())
}

/// Sets field 1, which is where inputs and map entries keep the digest.
fn name<'a>(message: &'a [u8], digests: &[Digest]) -> Change<'a> {
    let mut number = 0;
    for field in wire::fields(message) {
        let field = field?;
        if let (1, Value::Bytes(name)) = (field.number, field.value) {
            number = name.last().copied().map_or(0, usize::from);
        }
    }
    match digests.get(number.checked_rem(digests.len()).unwrap_or_default()) {
        Some(digest) => wire::set_bytes(message, 1, digest.as_str().as_bytes()),
        None => Ok(Cow::Borrowed(message)),
    }
}
