//! Splicing of protobuf messages: change one field, keep every other byte.
//!
//! A typed decode and encode drops the fields that its types do not know, and BuildKit gains fields with every
//! release. So messages are walked on the wire, and only what changes is written anew. Each function here returns
//! its input borrowed when there is nothing to change, so an op that needs no change keeps its digest.

use std::borrow::Cow;
use std::ops::Range;

use prost::encoding::{self, DecodeContext, WireType};

/// A message that is not valid protobuf.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed protobuf: {0}")]
pub struct WireError(String);

impl WireError {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl From<prost::DecodeError> for WireError {
    fn from(error: prost::DecodeError) -> Self {
        Self(error.to_string())
    }
}

/// The value of a field, as far as splicing looks into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// A varint: integers, enums, booleans.
    Varint(u64),
    /// Length-delimited: strings, bytes, messages.
    Bytes(&'a [u8]),
    /// Fixed-width numbers and groups: kept, never read.
    Opaque,
}

/// One occurrence of a field within a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field<'a> {
    /// The field's number.
    pub number: u32,
    /// Its value.
    pub value: Value<'a>,
    /// Where the occurrence lies in the message, its key included.
    pub span: Range<usize>,
}

/// Walks the fields of `message` in the order of the wire. The iterator ends after its first error.
pub fn fields(message: &[u8]) -> Fields<'_> {
    Fields { message, at: 0 }
}

/// See [`fields`].
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    fn read(&mut self) -> Result<Field<'a>, WireError> {
        let start = self.at;
        let mut rest = &self.message[start..];
        let (number, wire_type) = encoding::decode_key(&mut rest)?;
        let value = match wire_type {
            WireType::Varint => Value::Varint(encoding::decode_varint(&mut rest)?),
            WireType::LengthDelimited => {
                let length = encoding::decode_varint(&mut rest)?;
                let length = usize::try_from(length).ok().filter(|length| *length <= rest.len());
                let length = length.ok_or_else(|| WireError(format!("field {number} is cut short")))?;
                let (bytes, tail) = rest.split_at(length);
                rest = tail;
                Value::Bytes(bytes)
            }
            WireType::EndGroup => return Err(WireError(format!("field {number} ends no group"))),
            other => {
                encoding::skip_field(other, number, &mut rest, DecodeContext::default())?;
                Value::Opaque
            }
        };
        self.at = self.message.len() - rest.len();
        Ok(Field { number, value, span: start..self.at })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.message.len() {
            return None;
        }
        let field = self.read();
        if field.is_err() {
            self.at = self.message.len();
        }
        Some(field)
    }
}

/// The value of the length-delimited field `number`: of several occurrences the last one, which is the one that counts.
///
/// # Errors
/// The message is malformed.
pub fn get_bytes(message: &[u8], number: u32) -> Result<Option<&[u8]>, WireError> {
    let mut value = None;
    for field in fields(message) {
        let field = field?;
        if let (true, Value::Bytes(bytes)) = (field.number == number, field.value) {
            value = Some(bytes);
        }
    }
    Ok(value)
}

/// Replaces the value of every length-delimited occurrence of field `number` by what `change` makes of it.
/// `change` may give back its argument borrowed to keep an occurrence.
///
/// # Errors
/// The message is malformed, or `change` fails.
pub fn map_bytes<'a, E: From<WireError>>(
    message: &'a [u8],
    number: u32,
    mut change: impl FnMut(&'a [u8]) -> Result<Cow<'a, [u8]>, E>,
) -> Result<Cow<'a, [u8]>, E> {
    let mut splice = Splice::new(message);
    for field in fields(message) {
        let field = field?;
        if let (true, Value::Bytes(value)) = (field.number == number, field.value) {
            let changed = change(value)?;
            if changed != value {
                splice.replace(field.span, &encode_bytes(number, &changed));
            }
        }
    }
    Ok(splice.finish())
}

/// Keeps those length-delimited occurrences of field `number` for which `keep` holds.
///
/// # Errors
/// The message is malformed.
pub fn retain_bytes(
    message: &[u8],
    number: u32,
    mut keep: impl FnMut(&[u8]) -> bool,
) -> Result<Cow<'_, [u8]>, WireError> {
    let mut splice = Splice::new(message);
    for field in fields(message) {
        let field = field?;
        if let (true, Value::Bytes(value)) = (field.number == number, field.value)
            && !keep(value)
        {
            splice.replace(field.span, &[]);
        }
    }
    Ok(splice.finish())
}

/// Puts the occurrences of the repeated field `number` into another order: the i-th place takes what stood at
/// place `order[i]`. Everything between them stays where it is.
///
/// # Errors
/// The message is malformed, or `order` is no permutation of the occurrences.
pub fn permute<'a>(message: &'a [u8], number: u32, order: &[usize]) -> Result<Cow<'a, [u8]>, WireError> {
    let spans: Vec<_> = fields(message)
        .filter_map(|field| match field {
            Ok(field) if field.number != number => None,
            other => Some(other.map(|field| field.span)),
        })
        .collect::<Result<_, _>>()?;
    let mut sorted = order.to_vec();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..spans.len()) {
        return Err(WireError(format!("field {number} cannot be put into the order {order:?}")));
    }
    let mut splice = Splice::new(message);
    for (place, from) in order.iter().enumerate() {
        if place != *from {
            splice.replace(spans[place].clone(), &message[spans[*from].clone()]);
        }
    }
    Ok(splice.finish())
}

/// Puts encoded fields behind the last one of number `number` or lower, where a canonical encoder would have put more of
/// that number.
///
/// # Errors
/// The message is malformed.
pub fn append(message: &[u8], number: u32, encoded: &[u8]) -> Result<Vec<u8>, WireError> {
    let mut at = 0;
    for field in fields(message) {
        let field = field?;
        if field.number <= number {
            at = field.span.end;
        }
    }
    Ok([&message[..at], encoded, &message[at..]].concat())
}

/// Puts encoded fields before the last occurrence of field `number`, and at the end if there is none.
///
/// # Errors
/// The message is malformed.
pub fn insert_before_last(message: &[u8], number: u32, encoded: &[u8]) -> Result<Vec<u8>, WireError> {
    let mut at = message.len();
    for field in fields(message) {
        let field = field?;
        if field.number == number {
            at = field.span.start;
        }
    }
    Ok([&message[..at], encoded, &message[at..]].concat())
}

/// Sets the scalar field `number` to a varint. An absent field is zero.
///
/// # Errors
/// The message is malformed.
pub fn set_varint(message: &[u8], number: u32, value: u64) -> Result<Cow<'_, [u8]>, WireError> {
    set(message, number, Value::Varint(value), &encode_varint(number, value))
}

/// Sets the string or bytes field `number`. An absent field is empty.
///
/// # Errors
/// The message is malformed.
pub fn set_bytes<'a>(message: &'a [u8], number: u32, value: &[u8]) -> Result<Cow<'a, [u8]>, WireError> {
    set(message, number, Value::Bytes(value), &encode_bytes(number, value))
}

/// Replaces the last occurrence, which is the one that counts; without any, the field goes behind the last one of a
/// lower number, where a canonical encoder would have put it.
fn set<'a>(
    message: &'a [u8],
    number: u32,
    value: Value<'_>,
    encoded: &[u8],
) -> Result<Cow<'a, [u8]>, WireError> {
    let mut last = None;
    let mut insert_at = 0;
    for field in fields(message) {
        let field = field?;
        if field.number == number {
            last = Some(field);
        } else if field.number < number {
            insert_at = field.span.end;
        }
    }
    let mut splice = Splice::new(message);
    match last {
        None if matches!(value, Value::Varint(0) | Value::Bytes([])) => {} // what an absent field means
        None => splice.replace(insert_at..insert_at, encoded),
        Some(last) if last.value == value => {}
        Some(last) => splice.replace(last.span, encoded),
    }
    Ok(splice.finish())
}

/// A length-delimited field with its key.
#[must_use]
pub fn encode_bytes(number: u32, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() + 10);
    encoding::encode_key(number, WireType::LengthDelimited, &mut out);
    encoding::encode_varint(value.len() as u64, &mut out);
    out.extend_from_slice(value);
    out
}

/// A varint field with its key.
#[must_use]
pub fn encode_varint(number: u32, value: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(12);
    encoding::encode_key(number, WireType::Varint, &mut out);
    encoding::encode_varint(value, &mut out);
    out
}

/// Replacements of ascending, disjoint ranges of a message.
struct Splice<'a> {
    source: &'a [u8],
    out: Option<Vec<u8>>,
    copied: usize,
}

impl<'a> Splice<'a> {
    fn new(source: &'a [u8]) -> Self {
        Self { source, out: None, copied: 0 }
    }

    fn replace(&mut self, range: Range<usize>, with: &[u8]) {
        let out = self.out.get_or_insert_with(|| Vec::with_capacity(self.source.len() + with.len()));
        out.extend_from_slice(&self.source[self.copied..range.start]);
        out.extend_from_slice(with);
        self.copied = range.end;
    }

    fn finish(self) -> Cow<'a, [u8]> {
        match self.out {
            None => Cow::Borrowed(self.source),
            Some(mut out) => {
                out.extend_from_slice(&self.source[self.copied..]);
                Cow::Owned(out)
            }
        }
    }
}
