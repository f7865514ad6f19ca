//! The text of a Dockerfile and the definition that an engine made of it have the same hazards, mended in the same ways.

use std::time::Duration;

use ci_build_frontend::dockerfile::{self, Options};
use ci_build_frontend::graph::{BuildGraph, MountRef, Step};
use ci_build_frontend::hazard;
use ci_build_frontend::llb;
use ci_build_frontend::plan::{Durations, Mended, Plan, Policy, Strategy};

mod support;

use support::{definitions, is_further};

/// What both graphs know of a hazard: rule, severity, caches, and the mounts as line, target and platform.
type Seen = (&'static str, String, Vec<String>, Vec<(u32, String, String)>);

fn hazards(graph: &BuildGraph) -> Vec<Seen> {
    let place = |at: MountRef| {
        let step = graph.step(at.step);
        let line = step.location.as_ref().map_or(0, |location| location.line);
        (line, graph.mount(at).target.clone(), step.built_for().unwrap_or_default().to_owned())
    };
    let seen = |finding: hazard::Finding| {
        let caches = finding.caches.iter().map(ToString::to_string).collect();
        let mut mounts: Vec<_> = finding.mounts().map(place).collect();
        mounts.sort();
        (finding.rule.name, finding.severity.to_string(), caches, mounts)
    };
    let mut seen: Vec<_> = hazard::find(graph).into_iter().map(seen).collect();
    seen.sort();
    seen
}

/// The strategies under every policy. `plan` shows what the frontend will do.
fn strategies(graph: &BuildGraph) -> Vec<(&'static str, &'static str, Vec<String>, Strategy)> {
    let mut strategies = Vec::new();
    for policy in Policy::ALL {
        let plan = Plan::of(graph, &policy.into());
        for Mended { finding, strategy } in plan.mended {
            let caches: Vec<_> = finding.caches.iter().map(ToString::to_string).collect();
            strategies.push((policy.name(), finding.rule.name, caches, strategy));
        }
    }
    strategies.sort();
    strategies
}

#[test]
fn text_and_engine_agree() {
    let mut compared = 0;
    insta::glob!("../../testdata/llb", "*/*/*.pb", |path| {
        if is_further(path) {
            return;
        }
        let source = std::fs::read_to_string(support::dockerfile(path));
        let source = source.expect("each definition was captured from a Dockerfile");
        let dockerfile = dockerfile::parse(source.as_bytes()).expect("an engine read it");
        let mut options = Options::default();
        let platforms = support::platforms(path);
        if !platforms.is_empty() {
            options.platforms = platforms.iter().map(|name| name.parse().expect("it is one")).collect();
        }
        let text = dockerfile::read("Dockerfile", &dockerfile, &options).expect("an engine read it");
        let engine = llb::read(&definitions(path)).unwrap();
        assert_eq!(hazards(&text), hazards(&engine), "{}", path.display());
        assert_eq!(strategies(&text), strategies(&engine), "{}", path.display());
        // What was measured of one is known of the other, where the engine names a command as it was written.
        let mut durations = Durations::default();
        durations.record(text.steps().map(|(_, step)| (step, Duration::from_secs(4))));
        let line = |step: &Step| step.location.as_ref().map(|location| location.line);
        let is_renamed = |step: &Step| step.title.contains('$') || step.title.contains("<<");
        let renamed = text.steps().filter(|(_, step)| is_renamed(step));
        let renamed: Vec<_> = renamed.map(|(_, step)| line(step)).collect();
        for (_, step) in engine.steps().filter(|(_, step)| step.is_run() && !renamed.contains(&line(step))) {
            assert!(durations.measured(step).is_some(), "{}: {step}: {}", path.display(), step.title);
        }
        compared += 1;
    });
    assert!(compared > 20, "{compared} compared");
}
