//! The rules, as people and scripts read them: pages, examples, hits, near misses, skips.

use std::path::Path;

use ci_build_frontend::dockerfile::{self, Options};
use ci_build_frontend::graph::BuildGraph;
use ci_build_frontend::hazard::{self, Checks, RULES};
use ci_build_frontend::plan::{Medium, Plan, Policy, Primer, Settings};
use ci_build_frontend::report::check::{self, Checked};
use ci_build_frontend::report::{self, plan};

fn options(platforms: &[&str]) -> Options {
    let mut options = Options::default();
    if !platforms.is_empty() {
        options.platforms = platforms.iter().map(|platform| platform.parse().expect("a platform")).collect();
    }
    options
}

fn read(source: &str, options: &Options) -> (BuildGraph, Checks) {
    let dockerfile = dockerfile::parse(source.as_bytes()).expect("a Dockerfile");
    let graph = dockerfile::read("Dockerfile", &dockerfile, options).expect("a build");
    let checks = dockerfile::checks("Dockerfile", &dockerfile, &options.arguments);
    (graph, Checks::from_iter([checks]))
}

/// Text without escapes, then JSON.
fn shown(source: &str, platforms: &[&str]) -> String {
    let (graph, checks) = read(source, &options(platforms));
    let settings = Settings { medium: Medium::Text, ..Settings::default() };
    let plan = Plan::except(&graph, &settings, &checks);
    let files = [Checked::new("Dockerfile", source, &graph, &plan.mended)];
    let text = anstream::adapter::strip_str(&check::text(&files)).to_string();
    format!("{text}\n{}", check::json(&files))
}

fn rules_found(source: &str, platforms: &[&str]) -> Vec<&'static str> {
    let (graph, checks) = read(source, &options(platforms));
    hazard::find_except(&graph, &checks).into_iter().map(|finding| finding.rule.name).collect()
}

#[test]
fn every_page_is_up_to_date() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/rules");
    for rule in RULES {
        let page =
            std::fs::read_to_string(directory.join(rule.name).with_extension("md")).unwrap_or_default();
        assert!(page == report::rule(rule), "{}: `cargo xtask docs` writes it anew", rule.name);
    }
    assert_eq!(std::fs::read_dir(directory).unwrap().count(), RULES.len(), "a page without a rule");
}

/// One cache at the places of two tools, of which one bears other users and one does not.
#[test]
fn the_tool_that_bears_least_decides_wherever_it_stands() {
    let [npm, apt] = ["/root/.npm", "/var/cache/apt"];
    for [first, second] in [[npm, apt], [apt, npm]] {
        let source = format!(
            "FROM x AS a\nRUN --mount=type=cache,id=one,target={first} a\nFROM x\n\
             RUN --mount=type=cache,id=one,target={second} b\nCOPY --from=a /a /\n"
        );
        let (graph, _) = read(&source, &Options::default());
        let found = hazard::find(&graph);
        let race = found.iter().find(|finding| finding.rule.name == "SharedCacheRace").expect("it races");
        assert_eq!(race.severity, hazard::Severity::Error, "{source}");
        assert!(race.message.contains("apt does not bear it"), "{}", race.message);
    }
}

/// A step that runs beside what its stage needs later is not drawn below it.
#[test]
fn a_picture_says_which_step_of_a_stage_needs_another_stage() {
    let source = "FROM x AS a\nRUN --mount=type=cache,target=/c a\nFROM x\nRUN --mount=type=cache,target=/c b\n\
                  COPY --from=a /a /\nRUN --mount=type=cache,target=/d c\n";
    let (graph, _) = read(source, &Options::default());
    let made = Plan::of(&graph, &Policy::Off.into());
    let dot = plan::dot(&plan::Planned::new("Dockerfile", &graph, &made));
    let edges: Vec<_> = dot.lines().map(str::trim).filter(|line| line.contains("->")).collect();
    assert_eq!(edges, ["s1_0 -> s1_1;", "s1_1 -> s1_2;", "s0_0 -> s1_1;"]);
}

/// What only connects is left out where there is much, and lines lead through it.
#[test]
fn lines_lead_through_what_is_not_drawn() {
    let mut source = String::from("FROM x AS s0\nRUN --mount=type=cache,target=/c first\n");
    for stage in 1..30 {
        source.push_str(&format!(
            "FROM s{} AS s{stage}\nRUN --mount=type=tmpfs,target=/t make {stage}\n",
            stage - 1
        ));
    }
    source.push_str("FROM s29\nRUN --mount=type=cache,target=/c last\n");
    let (graph, _) = read(&source, &Options::default());
    let made = Plan::of(&graph, &Policy::Auto.into());
    let dot = plan::dot(&plan::Planned::new("Dockerfile", &graph, &made));
    let cards = dot.lines().filter(|line| line.contains("[label=")).count();
    let edges = dot.lines().filter(|line| line.contains("->")).count();
    assert_eq!((cards, edges), (16, 15), "{dot}");
    assert!(dot.contains("not drawn: 15 stages without caches: "), "{dot}");
}

/// A step of ours, which waits for nobody, and for which some steps wait.
#[test]
fn a_primer_is_drawn_in_every_form() {
    let race = include_str!("../../testdata/dockerfiles/NestedMountpointRace/two-stages.Dockerfile");
    let (graph, _) = read(race, &Options::default());
    let mut made = Plan::of(&graph, &Policy::Off.into());
    let mounts: Vec<_> = graph.caches().into_values().filter_map(|mounts| mounts.first().copied()).collect();
    let before = graph.steps().filter(|(_, step)| step.caches().next().is_some()).map(|(step, _)| step);
    made.primer = Some(Primer { mounts, before: before.collect() });
    let planned = plan::Planned::new("Dockerfile", &graph, &made);
    let forms = [plan::text, plan::json, plan::dot, plan::mermaid, plan::svg].map(|form| form(&planned));
    insta::assert_snapshot!("plan-primer", forms.join("\n"));
    made.primer = None;
    let planned = plan::Planned::new("Dockerfile", &graph, &made);
    for form in [plan::text, plan::json, plan::dot, plan::mermaid, plan::svg] {
        assert!(!form(&planned).contains("primer"));
    }
}

#[test]
fn bad_examples_have_the_hazard_and_good_ones_none() {
    for rule in RULES {
        let docs = &rule.documentation;
        assert!(rules_found(docs.bad, docs.platforms).contains(&rule.name), "{}", rule.name);
        assert!(rules_found(docs.good, docs.platforms).is_empty(), "{}", rule.name);
    }
}

#[test]
fn hits_read_well() {
    for rule in RULES {
        let docs = &rule.documentation;
        insta::assert_snapshot!(format!("hit-{}", rule.name), shown(docs.bad, docs.platforms));
    }
}

/// What a rule comes close to and must not name.
#[test]
fn near_misses_are_no_hits() {
    let two = |mounts: [&str; 2]| {
        let [a, b] = mounts;
        format!(
            "FROM x AS a\nRUN {a} a\nFROM x AS b\nRUN {b} b\nFROM x\nCOPY --from=a /a /\nCOPY --from=b /b /\n"
        )
    };
    let cache = "--mount=type=cache,target=/c";
    let readonly = "--mount=type=cache,target=/c,readonly";
    let locked = "--mount=type=cache,target=/c,sharing=locked";
    let private = "--mount=type=cache,target=/c,sharing=private";
    for (source, platforms) in [
        // One after the other.
        (format!("FROM x\nRUN {cache} a\nRUN {cache} b\n"), &[][..]),
        // Readers alone.
        (two([readonly, readonly]), &[]),
        (two([locked, locked]), &[]),
        (two([private, private]), &[]),
        // Other ids.
        (two([cache, "--mount=type=cache,target=/c,id=d"]), &[]),
        // Not built.
        (format!("FROM x AS a\nRUN {cache} a\nFROM x\nRUN {cache} b\n"), &[]),
        // The same step twice is one step.
        (format!("FROM x AS a\nRUN {cache} a\nFROM x AS b\nRUN {cache} a\nCOPY --from=a /a /\n"), &[]),
        // One order.
        (
            two([&format!("{locked} --mount=type=cache,id=d,target=/d,sharing=locked"); 2]
                .map(|s| s.as_str())),
            &[],
        ),
        // Beside, not inside.
        (two([&format!("{locked} --mount=type=tmpfs,target=/cc"); 2].map(|s| s.as_str())), &[]),
        // The id varies with the platform.
        (
            "FROM x\nARG TARGETARCH\nRUN --mount=type=cache,id=$TARGETARCH,target=/c a\n".to_owned(),
            &["linux/amd64", "linux/arm64"],
        ),
        // The platform that builds runs it once.
        (
            format!("FROM --platform=$BUILDPLATFORM x AS a\nRUN {cache} a\nFROM x\nCOPY --from=a /a /\n"),
            &["linux/amd64", "linux/arm64"],
        ),
    ] {
        assert_eq!(rules_found(&source, platforms), [""; 0], "{source}");
    }
    // cargo's own lock is within reach.
    let home =
        "--mount=type=cache,target=/usr/local/cargo --mount=type=cache,target=/usr/local/cargo/registry";
    assert!(!rules_found(&two([home, home]), &[]).contains(&"ToolLockOutsideMount"));
}

#[test]
fn files_say_what_is_skipped() {
    let race = |top: &str, stage: &str, step: &str| {
        format!(
            "{top}FROM x AS a\nRUN --mount=type=cache,target=/c a\n{stage}FROM x AS b\n{step}RUN --mount=type=cache,target=/c b\n\
             FROM x\nCOPY --from=a /a /\nCOPY --from=b /b /\n"
        )
    };
    let is_skipped = |source: String| rules_found(&source, &[]).is_empty();
    assert!(!is_skipped(race("", "", "")));
    let skip = "# check=skip=SharedCacheRace,Other\n";
    for source in
        [race(skip, "", ""), race("", skip, ""), race("", "", skip), race("# check=skip=all\n", "", "")]
    {
        assert!(is_skipped(source.clone()), "{source}");
        assert!(!shown(&source, &[]).contains("SharedCacheRace"), "{source}");
    }
    for other in [
        "# check=skip=Other\n",
        "# check=skip=sharedcacherace\n",
        "# check=skip=SharedCacheRace;foo=1\n",
        "# skip=all\n",
    ] {
        assert!(!is_skipped(race(other, other, other)), "{other}");
    }
    // The build argument takes the directive's place.
    let source = race("# check=skip=Other\n", "", "");
    let mut options = options(&[]);
    options.arguments.insert("BUILDKIT_DOCKERFILE_CHECK".to_owned(), "skip=all".to_owned());
    let (graph, checks) = read(&source, &options);
    assert!(hazard::find_except(&graph, &checks).is_empty());
    assert!(Plan::except(&graph, &Policy::Auto.into(), &checks).edits.is_empty());
    // What fails: warnings and above.
    let (graph, checks) = read(&race("# check=error=true\n", "", ""), &Options::default());
    assert!(hazard::find(&graph).iter().all(|finding| checks.fails(&graph, finding)));
    let (graph, checks) = read(&race("", "", ""), &Options::default());
    assert!(!hazard::find(&graph).iter().any(|finding| checks.fails(&graph, finding)));
}

/// The forms of a plan, on every Dockerfile in testdata.
#[test]
fn plans_read_well() {
    insta::glob!("../../testdata/dockerfiles", "{C,M,N,S,T}*/*.Dockerfile", |path| {
        let source = std::fs::read_to_string(path).unwrap();
        let (graph, checks) = read(&source, &Options::default());
        for policy in [Policy::Auto, Policy::Order] {
            let made = Plan::except(&graph, &policy.into(), &checks);
            let planned = plan::Planned::new("Dockerfile", &graph, &made);
            let text =
                [plan::text(&planned), plan::json(&planned), plan::dot(&planned), plan::mermaid(&planned)];
            insta::assert_snapshot!(format!("plan-{policy}"), text.join("\n"));
            assert!(plan::svg(&planned).ends_with("</svg>\n"));
        }
    });
}

#[test]
fn a_large_build_makes_a_picture_of_bounded_size() {
    let mut source = String::new();
    for stage in 0..2_000 {
        source.push_str(&format!(
            "FROM x AS s{stage}\nRUN --mount=type=cache,target=/c{} make {stage}\n",
            stage % 50
        ));
    }
    source.push_str("FROM x\n");
    for stage in 0..2_000 {
        source.push_str(&format!("COPY --from=s{stage} /{stage} /\n"));
    }
    let (graph, checks) = read(&source, &Options::default());
    let made = Plan::except(&graph, &Policy::Auto.into(), &checks);
    let planned = plan::Planned::new("Dockerfile", &graph, &made);
    for picture in [plan::svg(&planned), plan::mermaid(&planned), plan::dot(&planned)] {
        assert!(picture.len() < 300_000, "{}", picture.len());
        assert!(picture.contains("not drawn"), "says what is missing");
    }
    // More than that Mermaid does not take.
    assert!(plan::mermaid(&planned).chars().count() < 50_000);
    let files = [Checked::new("Dockerfile", &source, &graph, &made.mended)];
    assert!(check::text(&files).len() < 1_000_000);
}

/// One cache at two places, one of which belongs to a tool whose cache is the same for all platforms.
#[test]
fn a_collision_is_harmless_only_if_all_of_it_is() {
    let options = options(&["linux/amd64", "linux/arm64"]);
    let severities = |second: &str| {
        let npm = "RUN --mount=type=cache,id=c,target=/root/.npm,sharing=locked";
        let source =
            format!("FROM x\n{npm} a\nRUN --mount=type=cache,id=c,target={second},sharing=locked b\n");
        let (graph, _) = read(&source, &options);
        hazard::find(&graph).into_iter().map(|finding| finding.severity.to_string()).collect::<Vec<_>>()
    };
    for _ in 0..16 {
        assert_eq!(severities("/objects"), ["warning"]);
        assert_eq!(severities("/root/.npm"), ["note"]);
    }
}
