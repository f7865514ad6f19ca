//! Any bytes as the result of the inner frontend: its references are found, and replaced by others.

#![no_main]

use ci_build_frontend::gateway::fuzzing::{reference_ids, replace_references};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(ids) = reference_ids(bytes) else { return };

    let kept = replace_references(bytes, &vec![None; ids.len()]).expect("what was read can be written");
    assert_eq!(kept, bytes, "no replacement, but other bytes");

    let new: Vec<_> = (0..ids.len()).map(|place| Some(format!("ref-{place}"))).collect();
    let replaced = replace_references(bytes, &new).expect("what was read can be written");
    let read: Vec<_> = reference_ids(&replaced).expect("what was written can be read");
    assert_eq!(read.into_iter().map(Some).collect::<Vec<_>>(), new);
});
