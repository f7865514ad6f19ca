//! Any bytes as a build definition: read, judged, planned under every policy, written, and read again.
//!
//! Only the first reader may refuse. What it accepts is written without a panic, reads again, and is free of the
//! hazards that the policy mends.

#![no_main]

use std::collections::HashMap;

use ci_build_frontend::graph::BuildGraph;
use ci_build_frontend::hazard::{self, Severity};
use ci_build_frontend::llb::{self, Definition, Digest, WriteError};
use ci_build_frontend::plan::{Plan, Policy};
use libfuzzer_sys::fuzz_target;

mod relink;

fuzz_target!(|bytes: &[u8]| {
    run(bytes.to_vec());
    if let Ok(linked) = relink::relink(bytes) {
        run(linked);
    }
});

fn run(bytes: Vec<u8>) {
    let Ok(definition) = Definition::parse(bytes) else { return };
    let definitions = [definition];
    let Ok(graph) = llb::read(&definitions) else { return };
    for policy in Policy::ALL {
        check(&definitions[0], &graph, policy);
    }
}

fn check(definition: &Definition, graph: &BuildGraph, policy: Policy) {
    let plan = Plan::of(graph, &policy.into());
    let edits: HashMap<_, _> =
        plan.edits.iter().map(|(step, edit)| (graph.step(*step).id.as_str(), edit)).collect();
    let edit_of = |digest: &Digest| edits.get(digest.as_str()).copied();
    let written = match llb::write(definition, &edit_of) {
        Ok(written) => written,
        // By design: what we do not understand is not changed.
        Err(WriteError::UnknownKind { .. }) => return,
        Err(error) => panic!("{policy}: what was read cannot be written: {error}"),
    };
    if plan.edits.is_empty() {
        assert_eq!(*written.bytes, *definition.bytes(), "{policy}: no edits, but other bytes");
        return;
    }
    let again = Definition::parse(written.bytes.into_owned()).expect("what was written can be read");
    let steps = graph.steps().count();
    let graph = llb::read(&[again]).expect("what was written has no cycle");
    if graph.steps().count() < steps {
        return; // Steps that became equal are one, and caches that start from them too: that takes a second plan.
    }
    let left: Vec<_> = hazard::find(&graph)
        .into_iter()
        .filter(|finding| policy != Policy::Auto || finding.severity != Severity::Note)
        .collect();
    assert!(left.is_empty(), "{policy}: left after the plan: {left:#?}");
}
