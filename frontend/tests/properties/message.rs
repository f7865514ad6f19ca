//! Protobuf messages as trees of fields, encoded as canonically or as oddly as the wire format allows.
//!
//! Written without the crate's own wire format, so that the two can be held against each other.

use proptest::prelude::*;
use proptest::sample::Index;

/// The value of a field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Varint(u64),
    Fixed32([u8; 4]),
    Fixed64([u8; 8]),
    Bytes(Vec<u8>),
    Message(Message),
    Group(Message),
    /// How a definition names its op at a place.
    Name(usize),
    /// The bytes of a definition's op at a place.
    Op(usize),
}

/// One occurrence of a field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    pub(crate) number: u32,
    pub(crate) value: Value,
    /// How many bytes its varints (key, length, value) are longer than they need be, as far as the format allows.
    pub(crate) padding: usize,
}

impl Field {
    pub(crate) fn new(number: u32, value: Value) -> Self {
        Self { number, value, padding: 0 }
    }

    pub(crate) fn text(number: u32, text: &str) -> Self {
        Self::new(number, Value::Bytes(text.as_bytes().to_vec()))
    }

    pub(crate) fn message(number: u32, message: Message) -> Self {
        Self::new(number, Value::Message(message))
    }
}

/// The fields of a message, in the order of the wire.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Message(pub(crate) Vec<Field>);

/// What [`Value::Name`] and [`Value::Op`] stand for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ops {
    pub(crate) names: Vec<Vec<u8>>,
    pub(crate) bytes: Vec<Vec<u8>>,
}

impl Message {
    pub(crate) fn encode(&self, ops: &Ops) -> Vec<u8> {
        let mut out = Vec::new();
        for field in &self.0 {
            field.encode(ops, &mut out);
        }
        out
    }

    /// The messages in the field of this number.
    pub(crate) fn messages(&self, number: u32) -> impl Iterator<Item = &Self> {
        self.0.iter().filter_map(move |field| match &field.value {
            Value::Message(message) if field.number == number => Some(message),
            _ => None,
        })
    }

    /// The value of a singular field: the last one counts.
    pub(crate) fn last(&self, number: u32) -> Option<&Value> {
        self.0.iter().rfind(|field| field.number == number).map(|field| &field.value)
    }

    /// Sets a singular field in the way that a splice is meant to: the last occurrence, or a new one behind the last
    /// field of a lower number. What it has already, or means without being there, it is not given.
    pub(crate) fn set(&mut self, number: u32, value: Value) {
        let is_default = value == Value::Varint(0) || value == Value::Bytes(Vec::new());
        match self.0.iter().rposition(|field| field.number == number) {
            Some(place) if self.0[place].value == value => {}
            Some(place) => self.0[place] = Field::new(number, value),
            None if is_default => {}
            None => {
                let place =
                    self.0.iter().rposition(|field| field.number < number).map_or(0, |place| place + 1);
                self.0.insert(place, Field::new(number, value));
            }
        }
    }

    /// The same with its fields in another order, which `keys` decide.
    pub(crate) fn shuffled(mut self, keys: &[Index]) -> Self {
        for (place, key) in keys.iter().enumerate().take(self.0.len()) {
            let other = key.index(self.0.len());
            self.0.swap(place, other);
        }
        self
    }
}

impl Field {
    fn encode(&self, ops: &Ops, out: &mut Vec<u8>) {
        let key = |wire_type: u32| u64::from(self.number << 3 | wire_type);
        let mut delimited = |bytes: &[u8]| {
            varint(key(2), self.padding, out);
            varint(bytes.len() as u64, self.padding, out);
            out.extend_from_slice(bytes);
        };
        match &self.value {
            Value::Bytes(bytes) => delimited(bytes),
            Value::Message(message) => delimited(&message.encode(ops)),
            Value::Name(op) => delimited(&ops.names[*op]),
            Value::Op(op) => delimited(&ops.bytes[*op]),
            Value::Varint(value) => {
                varint(key(0), self.padding, out);
                varint(*value, self.padding, out);
            }
            Value::Fixed64(value) => {
                varint(key(1), self.padding, out);
                out.extend_from_slice(value);
            }
            Value::Fixed32(value) => {
                varint(key(5), self.padding, out);
                out.extend_from_slice(value);
            }
            Value::Group(message) => {
                varint(key(3), self.padding, out);
                out.extend_from_slice(&message.encode(ops));
                varint(key(4), self.padding, out);
            }
        }
    }
}

/// A varint, `padding` bytes longer than it need be but never longer than ten.
fn varint(mut value: u64, padding: usize, out: &mut Vec<u8>) {
    let needed = (64 - value.leading_zeros() as usize).div_ceil(7).max(1);
    let length = (needed + padding).min(10);
    for _ in 1..length {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8 & 0x7f);
}

/// Numbers that no message of BuildKit has, up to the highest of all.
fn unknown_number() -> impl Strategy<Value = u32> {
    prop_oneof![8 => 100_u32..110, 1 => Just(536_870_911_u32)]
}

fn padding() -> impl Strategy<Value = usize> {
    prop_oneof![4 => Just(0_usize), 1 => 1_usize..10]
}

/// A field that no reader knows, of any wire type.
fn unknown_field() -> impl Strategy<Value = Field> {
    field(unknown_number()).prop_recursive(2, 8, 3, |inner| {
        let message = prop::collection::vec(inner, 0..3).prop_map(Message);
        let value = (any::<bool>(), message)
            .prop_map(|(group, inner)| if group { Value::Group(inner) } else { Value::Message(inner) });
        (unknown_number(), value, padding()).prop_map(|(number, value, padding)| Field {
            number,
            value,
            padding,
        })
    })
}

/// A field of one of these numbers, and of any flat wire type.
fn field(number: impl Strategy<Value = u32>) -> impl Strategy<Value = Field> {
    let value = prop_oneof![
        any::<u64>().prop_map(Value::Varint),
        (0_u64..4).prop_map(Value::Varint),
        any::<[u8; 4]>().prop_map(Value::Fixed32),
        any::<[u8; 8]>().prop_map(Value::Fixed64),
        prop::collection::vec(any::<u8>(), 0..6).prop_map(Value::Bytes),
    ];
    (number, value, padding()).prop_map(|(number, value, padding)| Field { number, value, padding })
}

/// Messages of any fields, of low numbers and high ones.
pub(crate) fn messages() -> impl Strategy<Value = Message> {
    prop::collection::vec(prop_oneof![field(1_u32..5), unknown_field()], 0..8).prop_map(Message)
}

/// How a message is made odd.
#[derive(Debug, Clone)]
pub(crate) struct Oddity {
    unknown: Vec<(Index, Field)>,
    shuffle: Vec<Index>,
    padding: Vec<usize>,
}

/// Unknown fields among the known ones, an order that is not canonical, and varints that are too long.
pub(crate) fn oddity() -> impl Strategy<Value = Oddity> {
    let unknown = prop::collection::vec((any::<Index>(), unknown_field()), 0..3);
    let shuffle = prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(any::<Index>(), 4)];
    let padding = prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(padding(), 4)];
    (unknown, shuffle, padding).prop_map(|(unknown, shuffle, padding)| Oddity { unknown, shuffle, padding })
}

impl Oddity {
    /// Makes `message` odd. What it says to those who know it does not change, but for the order of repeated fields.
    pub(crate) fn apply(&self, mut message: Message) -> Message {
        for (field, padding) in message.0.iter_mut().zip(&self.padding) {
            field.padding = *padding;
        }
        message = message.shuffled(&self.shuffle);
        for (place, field) in &self.unknown {
            let place = place.index(message.0.len() + 1);
            message.0.insert(place, field.clone());
        }
        message
    }

    /// The same without unknown fields.
    pub(crate) fn known(self) -> Self {
        Self { unknown: Vec::new(), ..self }
    }
}
