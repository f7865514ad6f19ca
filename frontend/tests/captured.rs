//! Definitions as real engines gave them (`cargo xtask capture`): read, judged, planned, written, read again.

use std::borrow::Cow;
use std::fmt::Write;

use ci_build_frontend::graph::{BuildGraph, Step};
use ci_build_frontend::hazard;
use ci_build_frontend::llb::{self, Definition, PrimerImage};
use ci_build_frontend::plan::{Plan, Policy};
use ci_build_frontend::report;

mod support;

use support::{definitions, is_further};

/// The definitions as the gateway would solve them.
fn rewrite(definitions: &[Definition], policy: Policy) -> Vec<Vec<u8>> {
    let graph = read(definitions);
    let plan = Plan::of(&graph, &policy.into());
    let image = PrimerImage::new("ci-build/frontend", "/ci-build-frontend", "nonce");
    let written = llb::write(definitions, &graph, &plan, Some(&image)).expect("it can be changed");
    written.definitions.into_iter().map(Cow::into_owned).collect()
}

fn bytes(definitions: &[Definition]) -> Vec<Vec<u8>> {
    definitions.iter().map(|definition| definition.bytes().to_vec()).collect()
}

fn read(definitions: &[Definition]) -> BuildGraph {
    llb::read(definitions).expect("an engine's build is a graph")
}

/// One line a cache mount, in the order of the file, then the order of the locks.
fn mounts(graph: &BuildGraph) -> String {
    let mut steps: Vec<&Step> =
        graph.steps().map(|(_, step)| step).filter(|step| step.caches().next().is_some()).collect();
    steps.sort_by_key(|step| (&step.location, &step.platform));
    let mut text = String::new();
    for step in steps {
        let platform = step.platform.as_deref().filter(|_| graph.is_multi_platform());
        let _ = writeln!(
            text,
            "  {step}{}{}",
            if platform.is_some() { " on " } else { "" },
            platform.unwrap_or_default()
        );
        for (_, mount, cache) in step.caches() {
            let readonly = if mount.readonly { " readonly" } else { "" };
            let from = if cache.key.identity.is_some() { " with an identity" } else { "" };
            let _ = writeln!(text, "    {}: {} {}{readonly}{from}", mount.target, cache.key, cache.sharing);
        }
    }
    text
}

#[test]
fn what_has_no_hazard_keeps_every_byte() {
    insta::glob!("../../testdata/llb", "*/none/*.pb", |path| {
        let definitions = definitions(path);
        for policy in Policy::ALL {
            assert_eq!(rewrite(&definitions, policy), bytes(&definitions), "{policy}");
        }
    });
}

#[test]
fn with_policy_off_everything_keeps_every_byte() {
    insta::glob!("../../testdata/llb", "*/*/*.pb", |path| {
        let definitions = definitions(path);
        assert_eq!(rewrite(&definitions, Policy::Off), bytes(&definitions));
    });
}

#[test]
fn hazards_are_found_and_mended() {
    insta::glob!("../../testdata/llb", "*/*/*.pb", |path| {
        if is_further(path) {
            return;
        }
        let definitions = definitions(path);
        let graph = read(&definitions);
        let mut text = format!("before\n{}", mounts(&graph));
        for policy in [Policy::Auto, Policy::Prime, Policy::Namespace] {
            let after = rewrite(&definitions, policy).into_iter();
            let after: Vec<_> = after.map(|bytes| Definition::parse(bytes).expect("what we wrote")).collect();
            let after = read(&after);
            let left = hazard::find(&after);
            // Who asks for primers vouches for tools that nobody knows.
            let most =
                if policy == Policy::Prime { hazard::Severity::Warning } else { hazard::Severity::Note };
            assert!(left.iter().all(|finding| finding.severity <= most), "{left:?}");
            let _ = writeln!(text, "policy={policy}");
            let plan = Plan::of(&graph, &policy.into());
            for mended in &plan.mended {
                let _ = writeln!(text, "  {}: {}", mended.finding.severity, mended.finding.message);
            }
            for notice in report::notices(&graph, &plan) {
                let _ = writeln!(text, "  {}", notice.text);
                if let Some(waits) = notice.waits {
                    let _ = writeln!(text, "  {waits}");
                }
            }
            let after = mounts(&after);
            text.push_str(if after == mounts(&graph) { "  nothing changes\n" } else { &after });
        }
        insta::assert_snapshot!(text);
    });
}

#[test]
fn an_order_leaves_no_hazard() {
    insta::glob!("../../testdata/llb", "*/*/*.pb", |path| {
        if is_further(path) {
            return;
        }
        let after = rewrite(&definitions(path), Policy::Order).into_iter();
        let after: Vec<_> = after.map(|bytes| Definition::parse(bytes).expect("what we wrote")).collect();
        let left = hazard::find(&read(&after));
        assert!(left.is_empty(), "{left:?}");
    });
}
