//! Writes the seeds of the fuzz targets: a few definitions of the property tests' generator, always the same.

#![allow(dead_code)]

#[path = "../../tests/properties/definition.rs"]
mod definition;
#[path = "../../tests/properties/message.rs"]
mod message;

use std::fs;
use std::path::Path;

use message::{Field, Message, Ops};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

fn main() -> std::io::Result<()> {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    let mut runner = TestRunner::deterministic();
    for number in 0..96 {
        let model = definition::definitions().new_tree(&mut runner).expect("nothing is filtered").current();
        let name = |kind: &str| format!("{kind}-{number:02}");
        if number < 8 {
            write(&seeds.join("definition"), &name("linked"), &model.encode())?;
        }
        // Names of one byte, for `relink`.
        let ops = model.named(|place, _| vec![place as u8]);
        write(&seeds.join("definition"), &name("short"), &model.definition.encode(&ops))?;
        if number < 16 {
            write(&seeds.join("result"), &name("result"), &result(number).encode(&Ops::default()))?;
        }
    }
    Ok(())
}

fn write(directory: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    fs::create_dir_all(directory)?;
    fs::write(directory.join(name), bytes)
}

/// References alone, by platform, and with attestations. Field numbers: `frontend/gateway/pb/gateway.proto`.
fn result(number: usize) -> Message {
    let reference = |id: &str| Message(vec![Field::text(1, id), Field::text(2, "")]);
    let entry = |value| Message(vec![Field::text(1, "linux/amd64"), Field::message(2, value)]);
    let attestation = Message(vec![Field::message(3, reference("c")), Field::text(4, "sbom")]);
    let mut result = Message::default();
    if number & 1 != 0 {
        result.0.push(Field::message(3, reference("a")));
    }
    if number & 2 != 0 {
        result
            .0
            .push(Field::message(4, Message(vec![Field::message(1, entry(reference("b"))); number / 4 + 1])));
    }
    if number & 4 != 0 {
        let attestations = Message(vec![Field::message(1, attestation)]);
        result.0.push(Field::message(12, entry(attestations)));
    }
    if number & 8 != 0 {
        result.0.push(Field::message(10, entry(Message(vec![Field::text(1, "metadata")]))));
    }
    result
}
