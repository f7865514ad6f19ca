//! Splicing of single messages, canonical or not, against a model of them.

use std::borrow::Cow;

use ci_build_frontend::llb::wire::{self, Value as Read, WireError};
use proptest::prelude::*;

use crate::message::{Field, Message, Ops, Value, messages};

fn encode(message: &Message) -> Vec<u8> {
    message.encode(&Ops::default())
}

fn is_borrowed(spliced: &Result<Cow<'_, [u8]>, WireError>) -> bool {
    matches!(spliced, Ok(Cow::Borrowed(_)))
}

/// Whether a field is length-delimited, and what is in it.
fn bytes_of(field: &Field) -> Option<Vec<u8>> {
    match &field.value {
        Value::Bytes(bytes) => Some(bytes.clone()),
        Value::Message(message) => Some(encode(message)),
        _ => None,
    }
}

proptest! {
    #[test]
    fn the_fields_of_a_message_are_those_that_stand_in_it(message in messages()) {
        let bytes = encode(&message);
        let read: Vec<_> = wire::fields(&bytes).collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(read.len(), message.0.len());
        let mut end = 0;
        for (read, field) in read.iter().zip(&message.0) {
            prop_assert_eq!(read.number, field.number);
            prop_assert_eq!(read.span.start, end);
            end = read.span.end;
            prop_assert_eq!(&bytes[read.span.clone()], encode(&Message(vec![field.clone()])));
            match (read.value, &field.value) {
                (Read::Varint(read), Value::Varint(value)) => prop_assert_eq!(read, *value),
                (Read::Bytes(read), _) => prop_assert_eq!(Some(read.to_vec()), bytes_of(field)),
                (read, value) => prop_assert!(
                    read == Read::Opaque
                        && matches!(value, Value::Fixed32(_) | Value::Fixed64(_) | Value::Group(_))
                ),
            }
        }
        prop_assert_eq!(end, bytes.len());
    }

    #[test]
    fn no_bytes_are_too_odd_for_the_walk(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut end = 0;
        for field in wire::fields(&bytes) {
            let Ok(field) = field else { break };
            prop_assert!(field.span.start == end && field.span.end > end && field.span.end <= bytes.len());
            end = field.span.end;
        }
    }

    #[test]
    fn nothing_to_change_changes_nothing(message in messages(), number in 1_u32..6) {
        let bytes = encode(&message);
        prop_assert!(is_borrowed(&wire::map_bytes(&bytes, number, |value| Ok(Cow::Borrowed(value)))));
        prop_assert!(is_borrowed(&wire::map_bytes(&bytes, number, |value| Ok(Cow::Owned(value.to_vec())))));
        prop_assert!(is_borrowed(&wire::retain_bytes(&bytes, number, |_| true)));
        let count = message.0.iter().filter(|field| field.number == number).count();
        let order: Vec<_> = (0..count).collect();
        prop_assert!(is_borrowed(&wire::permute(&bytes, number, &order)));
    }

    #[test]
    fn setting_what_is_there_changes_nothing(message in messages(), number in 1_u32..6) {
        let bytes = encode(&message);
        match message.0.iter().rfind(|field| field.number == number) {
            Some(Field { value: Value::Varint(value), .. }) => {
                prop_assert!(is_borrowed(&wire::set_varint(&bytes, number, *value)));
            }
            Some(Field { value: Value::Bytes(value), .. }) => {
                prop_assert!(is_borrowed(&wire::set_bytes(&bytes, number, value)));
            }
            Some(_) => {}
            None => {
                prop_assert!(is_borrowed(&wire::set_varint(&bytes, number, 0)));
                prop_assert!(is_borrowed(&wire::set_bytes(&bytes, number, b"")));
            }
        }
    }

    #[test]
    fn setting_changes_one_field(message in messages(), number in 1_u32..6, value in 0_u64..300) {
        let bytes = encode(&message);
        let mut varint = message.clone();
        varint.set(number, Value::Varint(value));
        prop_assert_eq!(&*wire::set_varint(&bytes, number, value).unwrap(), encode(&varint));

        let text = value.to_string().into_bytes();
        let mut delimited = message;
        if !delimited.0.iter().any(|field| matches!(field.value, Value::Message(_))) {
            delimited.set(number, Value::Bytes(text.clone()));
            prop_assert_eq!(&*wire::set_bytes(&bytes, number, &text).unwrap(), encode(&delimited));
        }
    }

    #[test]
    fn mapping_changes_what_it_is_told_to(message in messages(), number in 1_u32..6) {
        let bytes = encode(&message);
        let longer = |value: &[u8]| [value, b"!"].concat();
        let mapped = wire::map_bytes(&bytes, number, |value| Ok::<_, WireError>(Cow::Owned(longer(value))));
        let mut expected = message;
        for field in expected.0.iter_mut().filter(|field| field.number == number) {
            if let Some(value) = bytes_of(field) {
                *field = Field::new(number, Value::Bytes(longer(&value)));
            }
        }
        prop_assert_eq!(&*mapped.unwrap(), encode(&expected));
    }

    #[test]
    fn permuting_moves_whole_fields(
        message in messages(),
        number in 1_u32..6,
        keys in prop::collection::vec(any::<prop::sample::Index>(), 8),
    ) {
        let places: Vec<_> =
            (0..message.0.len()).filter(|place| message.0[*place].number == number).collect();
        let mut order: Vec<_> = (0..places.len()).collect();
        for (place, key) in keys.iter().enumerate().take(places.len()) {
            order.swap(place, key.index(places.len()));
        }
        let mut expected = message.clone();
        for (place, from) in places.iter().zip(&order) {
            expected.0[*place] = message.0[places[*from]].clone();
        }
        let bytes = encode(&message);
        prop_assert_eq!(&*wire::permute(&bytes, number, &order).unwrap(), encode(&expected));
        order.push(0);
        prop_assert!(wire::permute(&bytes, number, &order).is_err());
    }
}
