//! Any bytes as a Dockerfile that is built for one and for two platforms: refused at a place that there is, or read, judged
//! and planned under every policy; then no hazard is left that the policy mends.

#![no_main]

use ci_build_frontend::dockerfile::{self, Options, Platform};
use ci_build_frontend::hazard::{self, Finding, Severity};
use ci_build_frontend::plan::{Plan, Policy};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(dockerfile) = dockerfile::parse(bytes) else { return };
    for platforms in [vec!["linux/amd64"], vec!["linux/amd64", "linux/arm64"]] {
        let platforms: Vec<Platform> = platforms.iter().filter_map(|name| name.parse().ok()).collect();
        let options = Options { platforms, ..Options::default() };
        let graph = match dockerfile::read("Dockerfile", &dockerfile, &options) {
            Ok(graph) => graph,
            Err(error) => {
                let lines = bytes.split(|byte| *byte == b'\n').count();
                assert!((1..=lines).contains(&(error.place.line as usize)), "{error}");
                return;
            }
        };
        for policy in Policy::ALL {
            let plan = Plan::of(&graph, &policy.into());
            let left = hazard::find(&plan.apply(&graph));
            let is_fine = |finding: &Finding| match policy {
                Policy::Off => true,
                Policy::Auto => finding.severity == Severity::Note,
                // The user says that tools which nobody knows bear each other.
                Policy::Prime if finding.rule.name == "SharedCacheRace" => finding.severity < Severity::Error,
                Policy::Prime => finding.severity == Severity::Note,
                _ => false,
            };
            assert!(left.iter().all(is_fine), "{policy}: {left:?}");
            assert_eq!(plan.changes(&graph).is_empty(), plan.is_empty());
        }
    }
});
