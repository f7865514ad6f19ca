//! Definitions as real engines gave them (`cargo xtask capture`): read, judged, planned, written, read again.

use std::fmt::Write;
use std::path::Path;

use ci_build_frontend::graph::{BuildGraph, Step};
use ci_build_frontend::hazard;
use ci_build_frontend::llb::{self, Definition, Digest};
use ci_build_frontend::plan::{Plan, Policy};
use ci_build_frontend::report;

/// The definition as the gateway would solve it.
fn rewrite(definition: &Definition, policy: Policy) -> Vec<u8> {
    let graph = llb::read(std::slice::from_ref(definition)).expect("an engine's build is a graph");
    let plan = Plan::of(&graph, policy);
    let edits: Vec<_> = plan.edits.iter().map(|(step, edit)| (&*graph.step(*step).id, edit)).collect();
    let edit_of =
        |digest: &Digest| edits.iter().find(|(id, _)| *id == digest.as_str()).map(|(_, edit)| *edit);
    llb::write(definition, &edit_of).expect("it can be changed").bytes.into_owned()
}

fn parse(path: &Path) -> Definition {
    Definition::parse(std::fs::read(path).expect("it is in testdata")).expect("an engine made it")
}

fn read(definition: Definition) -> BuildGraph {
    llb::read(&[definition]).expect("an engine's build is a graph")
}

/// One line a cache mount, in the order of the file, then the order of the locks.
fn mounts(graph: &BuildGraph) -> String {
    let mut steps: Vec<&Step> =
        graph.steps().map(|(_, step)| step).filter(|step| step.caches().next().is_some()).collect();
    steps.sort_by_key(|step| &step.location);
    let mut text = String::new();
    for step in steps {
        let _ = writeln!(text, "  {step}");
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
        let definition = parse(path);
        for policy in Policy::ALL {
            assert_eq!(rewrite(&definition, policy), definition.bytes(), "{policy}");
        }
    });
}

#[test]
fn with_policy_off_everything_keeps_every_byte() {
    insta::glob!("../../testdata/llb", "*/*/*.pb", |path| {
        let definition = parse(path);
        assert_eq!(rewrite(&definition, Policy::Off), definition.bytes());
    });
}

#[test]
fn hazards_are_found_and_mended() {
    insta::glob!("../../testdata/llb", "*/*/*.pb", |path| {
        let definition = parse(path);
        let graph = read(definition.clone());
        let mut text = format!("before\n{}", mounts(&graph));
        for policy in [Policy::Auto, Policy::Namespace] {
            let after = read(Definition::parse(rewrite(&definition, policy)).expect("what we wrote"));
            let left = hazard::find(&after);
            assert!(left.iter().all(|finding| finding.severity == hazard::Severity::Note), "{left:?}");
            let _ = writeln!(text, "policy={policy}");
            for mended in Plan::of(&graph, policy).mended {
                let _ = writeln!(text, "  {}: {}", mended.finding.severity, mended.finding.message);
                if let Some(notice) = report::notice(&graph, &mended) {
                    let _ = writeln!(text, "  {notice}");
                }
            }
            let after = mounts(&after);
            text.push_str(if after == mounts(&graph) { "  nothing changes\n" } else { &after });
        }
        insta::assert_snapshot!(text);
    });
}
