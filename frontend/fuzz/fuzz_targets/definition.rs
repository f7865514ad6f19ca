//! Any bytes as a build definition: read, judged, planned under every policy, written, and read again.
//!
//! Only the first reader may refuse. What it accepts is written without a panic, reads again, and is free of the
//! hazards that the policy mends.

#![no_main]

use ci_build_frontend::graph::BuildGraph;
use ci_build_frontend::hazard::{self, Severity};
use ci_build_frontend::llb::{self, Definition, PrimerImage, WriteError};
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
    let definitions = std::slice::from_ref(definition);
    let image = PrimerImage::new("ci-build/frontend", "/ci-build-frontend", "nonce");
    let written = match llb::write(definitions, graph, &plan, Some(&image)) {
        Ok(written) => written,
        // By design: what we do not understand is not changed, and nobody can wait for what leaves nothing.
        Err(WriteError::UnknownKind { .. } | WriteError::NoResult(_)) => return,
        Err(error) => panic!("{policy}: what was read cannot be written: {error}"),
    };
    if plan.is_empty() {
        assert_eq!(*written.definitions[0], *definition.bytes(), "{policy}: no edits, but other bytes");
        return;
    }
    let again = Definition::parse(written.definitions[0].to_vec()).expect("what was written can be read");
    let graph = llb::read(&[again]).expect("what was written has no cycle");
    if written.has_merged {
        return; // Steps that became equal are one, and caches that start from them too: that takes a second plan.
    }
    let left: Vec<_> = hazard::find(&graph)
        .into_iter()
        .filter(|finding| match policy {
            Policy::Auto => finding.severity > Severity::Note,
            // Who asks for primers vouches for tools that nobody knows.
            Policy::Prime => finding.severity > Severity::Warning,
            _ => true,
        })
        .collect();
    assert!(left.is_empty(), "{policy}: left after the plan: {left:#?}");
}
