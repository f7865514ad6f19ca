//! Plans of Dockerfiles: which strategy for which hazard, and what people read of it.

use std::time::{Duration, Instant};

use ci_build_frontend::dockerfile::{self, Options};
use ci_build_frontend::graph::{
    BuildGraph, CacheKey, CacheUse, GraphBuilder, Mount, MountKind, Sharing, Step,
};
use ci_build_frontend::hazard;
use ci_build_frontend::plan::{Medium, Plan, Policy, Scope, Settings, Strategy};
use ci_build_frontend::report::plan::{self, Planned};

/// Stages with one RUN each, all of which the last stage needs.
fn stages(runs: &[&str]) -> String {
    let stage = |(at, run): (usize, &&str)| format!("FROM x AS s{at}\n{run}\n");
    let copy = |at| format!("COPY --from=s{at} /{at} /\n");
    let stages: String = runs.iter().enumerate().map(stage).collect();
    stages + "FROM x\n" + &(0..runs.len()).map(copy).collect::<String>()
}

fn read(source: &str, settings: &Settings) -> Result<(BuildGraph, Settings), String> {
    let dockerfile = dockerfile::parse(source.as_bytes()).expect("the tests write it");
    let options = Options::default();
    let graph = dockerfile::read("Dockerfile", &dockerfile, &options).expect("the tests write it");
    let caches = dockerfile::policies(&dockerfile, &graph, &options.arguments)
        .map_err(|error| format!("{}: {error}", error.line))?;
    Ok((graph, Settings { caches, ..settings.clone() }))
}

/// The changes, one a line, and what was left alone.
fn changes(source: &str, settings: &Settings) -> String {
    let (graph, settings) = match read(source, settings) {
        Ok(read) => read,
        Err(error) => return error,
    };
    let plan = Plan::of(&graph, &settings);
    let changes = plan.changes(&graph).into_iter().map(|change| {
        let after: Vec<_> = change.after.iter().map(|step| &*graph.step(*step).id).collect();
        let after = if after.is_empty() { String::new() } else { format!(" after {}", after.join(", ")) };
        format!("{} {}: {}{after}", graph.step(change.step).id, change.cache, change.strategy)
    });
    let left = plan.mended.iter().filter(|mended| mended.strategy == Strategy::None);
    let left = left.map(|mended| format!("left: {}", mended.finding.message));
    changes.chain(left).collect::<Vec<_>>().join("\n")
}

fn under(source: &str, policy: Policy) -> String {
    changes(source, &policy.into())
}

const NPM: &str = "RUN --mount=type=cache,target=/root/.npm --mount=type=";

#[test]
fn mountpoints_are_made_beforehand_where_several_writers_are_no_hazard() {
    let with = |inner: &str| {
        let run = |name: &str| format!("{NPM}{inner},target=/root/.npm/_logs npm {name}");
        stages(&[&run("a"), &run("b")])
    };
    insta::assert_snapshot!(under(&with("tmpfs"), Policy::Auto), @r"
    s0/1 /root/.npm: prime
    s1/1 /root/.npm: prime
    left: 2 concurrent steps use the cache /root/.npm at once with sharing=shared (npm is known to bear it)
    ");
    insta::assert_snapshot!(under(&with("cache,sharing=locked"), Policy::Auto), @r"
    s0/1 /root/.npm: prime
    s1/1 /root/.npm: prime
    left: 2 concurrent steps use the cache /root/.npm at once with sharing=shared (npm is known to bear it)
    ");
    assert_eq!(under(&with("secret,id=s"), Policy::Auto), under(&with("ssh"), Policy::Auto));
    // Nobody knows what a bind mount is.
    insta::assert_snapshot!(under(&with("bind,from=y,source=/logs"), Policy::Auto), @r"
    s1/1 /root/.npm: order after s0/1
    left: 2 concurrent steps use the cache /root/.npm at once with sharing=shared (npm is known to bear it)
    ");
    // A text cannot have a step that runs in each build.
    let text = Settings { medium: Medium::Text, ..Policy::Prime.into() };
    insta::assert_snapshot!(changes(&with("tmpfs"), &text), @r"
    s0/1 /root/.npm: lock
    s1/1 /root/.npm: lock
    left: 2 concurrent steps use the cache /root/.npm at once with sharing=shared (npm is known to bear it)
    ");
    // Beside other builds as well: a lock would have them find the cache empty that they share.
    let host = Settings { scope: Scope::Host, ..Settings::default() };
    for inner in ["tmpfs", "bind,from=y,source=/logs"] {
        assert_eq!(changes(&with(inner), &host), under(&with(inner), Policy::Auto));
    }
}

/// A primer that needs what waits for it would never start.
#[test]
fn a_primer_mounts_no_cache_that_starts_from_who_may_wait_for_it() {
    let outer = |option: &str| {
        let run = |name: &str| {
            format!(
                "RUN --mount=type=cache,target=/root/.npm,{option} --mount=type=tmpfs,target=/root/.npm/_logs npm {name}"
            )
        };
        let users = stages(&[&run("a"), &run("b")]);
        let first = "RUN --mount=type=cache,target=/root/.npm npm first";
        format!("FROM x AS plain\nRUN make\nFROM x AS user\n{first}\n{users}")
    };
    let strategy = |option: &str| {
        let (graph, settings) = read(&outer(option), &Settings::default()).unwrap();
        let mended = Plan::of(&graph, &settings).mended.into_iter();
        let nested = mended.filter(|mended| mended.finding.rule.name == "NestedMountpointRace");
        nested.map(|mended| mended.strategy).collect::<Vec<_>>()
    };
    for option in ["uid=1000", "from=image", "from=plain"] {
        assert_eq!(strategy(option), [Strategy::Prime], "{option}");
    }
    assert_eq!(strategy("from=user"), [Strategy::Order]);
}

#[test]
fn who_asks_for_a_primer_vouches_for_the_tool_unless_it_is_known_not_to_bear_it() {
    let with = |target: &str| {
        let run = |name: &str| {
            format!(
                "RUN --mount=type=cache,target={target} --mount=type=tmpfs,target={target}/tmp make {name}"
            )
        };
        stages(&[&run("a"), &run("b")])
    };
    insta::assert_snapshot!(under(&with("/cache"), Policy::Auto), @"s1/1 /cache: order after s0/1");
    insta::assert_snapshot!(under(&with("/cache"), Policy::Prime), @r"
    s0/1 /cache: prime
    s1/1 /cache: prime
    left: 2 concurrent steps use the cache /cache at once with sharing=shared
    ");
    insta::assert_snapshot!(under(&with("/var/cache/apt"), Policy::Prime), @"s1/1 /var/cache/apt: order after s0/1");
}

#[test]
fn a_cache_is_locked_because_of_other_builds() {
    let source = "FROM x AS a
RUN --mount=type=cache,target=/data make
RUN --mount=type=cache,target=/root/.npm npm ci
RUN --mount=type=cache,target=/read,readonly cat /read/file
RUN --mount=type=cache,target=/own,sharing=private make own
";
    let host = |policy| Settings { policy, scope: Scope::Host, ..Settings::default() };
    let (graph, settings) = read(source, &host(Policy::Auto)).unwrap();
    let plan = Plan::of(&graph, &settings);
    assert!(plan.mended.is_empty(), "no rule finds anything");
    insta::assert_snapshot!(plan::text(&Planned::new("Dockerfile", &graph, &plan)), @r"
    Dockerfile: 1 stage, 4 steps with caches; no hazards; 2 steps to change

    stage a (FROM x, line 1)
      a/1 line 2: RUN make
          /data: shared → locked
      a/2 line 3: RUN npm ci
          /root/.npm: shared
      a/3 line 4: RUN cat /read/file
          /read: shared → locked
      a/4 line 5: RUN make own
          /own: private

    other builds of the host may use the cache /data at the same time
      steps: a/1
      lock: the build that comes second waits

    other builds of the host may use the cache /read at the same time
      steps: a/3
      lock: the build that comes second waits
    ");
    assert_eq!(changes(source, &host(Policy::Off)), "");
    // An order binds this build alone, and two builds of one file give the same names.
    let race = stages(&["RUN --mount=type=cache,target=/data a", "RUN --mount=type=cache,target=/data b"]);
    for policy in [Policy::Auto, Policy::Order, Policy::Lock] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(changes(&race, &host(policy)), @r"
            s0/1 /data: lock
            s1/1 /data: lock
            ");
        }
    }
    insta::assert_snapshot!(changes(&race, &host(Policy::Namespace)), @r"
    s0/1 /data: namespace
    s0/1 /data: lock
    s1/1 /data: namespace
    s1/1 /data: lock
    ");
}

#[test]
fn the_narrowest_policy_wins() {
    let run = |comment: &str, name: &str| {
        format!(
            "{comment}RUN --mount=type=cache,target=/m2 --mount=type=cache,id=g,target=/gradle mvn {name}"
        )
    };
    let with = |first: &str, second: &str| stages(&[&run(first, "a"), &run(second, "b")]);
    insta::assert_snapshot!(under(&with("", "# ci-build: id=/m2 policy=namespace\n"), Policy::Lock), @r"
    s0/1 g: lock
    s0/1 /m2: namespace
    s1/1 g: lock
    s1/1 /m2: namespace
    ");
    insta::assert_snapshot!(under(&with("# why\n# ci-build: policy=off\n\n", ""), Policy::Lock), @r"
    left: 2 concurrent steps use the cache g at once with sharing=shared
    left: 2 concurrent steps use the cache /m2 at once with sharing=shared
    ");
    insta::assert_snapshot!(under(&with("# ci-build: id=g policy=order\n", ""), Policy::Off), @r"
    s1/1 g: order after s0/1
    left: 2 concurrent steps use the cache /m2 at once with sharing=shared
    ");
    let twice = with("# ci-build: id=g policy=lock\n", "# ci-build: policy=lock\n");
    insta::assert_snapshot!(under(&twice, Policy::Off), @r"
    s0/1 g: lock
    s0/1 /m2: lock
    s1/1 g: lock
    s1/1 /m2: lock
    ");
}

#[test]
fn a_comment_that_makes_no_sense_is_an_error_at_its_line() {
    let run = "RUN --mount=type=cache,target=/m2 mvn";
    let with =
        |first: &str, second: &str| stages(&[&format!("{first}\n{run} a"), &format!("{second}\n{run} b")]);
    let error = |first, second| under(&with(first, second), Policy::Auto);
    insta::assert_snapshot!(error("# ci-build: policy=lock", "# ci-build: id=/m2 policy=off"), @r"
    5: the cache /m2 is to have policy=off here and policy=lock in line 2
      help: a policy holds for a cache wherever the build uses it: keep one of the two
    ");
    insta::assert_snapshot!(error("", "# ci-build: id=/m3 policy=off"), @r#"
    5: the RUN in line 6 mounts no cache "/m3"
      help: its caches are /m2; leave id= out for all of them
    "#);
    insta::assert_snapshot!(error("# ci-build: policy=lock\nRUN true", ""), @r"
    2: the instruction in line 3 mounts no cache
      help: write the comment above a RUN that mounts the cache
    ");
    insta::assert_snapshot!(error("# ci-build: policy=locked", ""), @r#"
    2: there is no policy "locked"
      help: the policies are auto, lock, order, prime, namespace, off
    "#);
}

#[test]
fn a_rewritten_text_keeps_its_comments() {
    let run = "# ci-build: id=/m2 policy=namespace\nRUN --mount=type=cache,target=/m2 mvn";
    let source = stages(&[&format!("{run} a"), &format!("{run} b")]);
    let rewrite = |source: &str| {
        dockerfile::rewrite(source.as_bytes(), &Options::default(), &Settings::default()).unwrap().text
    };
    let new = rewrite(&source);
    assert!(new.contains("id=/m2@s0") && new.contains("id=/m2@s1"), "{new}");
    assert_eq!(rewrite(&new), new);
}

/// Steps that all use caches of these ids, and do not need each other.
fn crowd(steps: usize, ids: &[&str]) -> BuildGraph {
    let mut builder = GraphBuilder::default();
    for at in 0..steps {
        let mount = |(place, id): (usize, &&str)| Mount {
            kind: MountKind::Cache,
            target: format!("/{place}"),
            cache: Some(CacheUse { key: CacheKey::new(*id), sharing: Sharing::Shared }),
            ..Mount::default()
        };
        let mut mounts: Vec<_> = ids.iter().enumerate().map(mount).collect();
        // The caches' locks in any order.
        mounts.rotate_left(at % ids.len());
        builder.add(Step { id: at.to_string(), stage: Some(format!("s{at}")), mounts, ..Step::default() });
    }
    builder.finish().expect("no step needs another")
}

#[test]
fn two_thousand_steps_on_one_cache_are_planned_in_time() {
    let graph = crowd(2_000, &["/cache", "/other"]);
    for policy in Policy::ALL.into_iter().filter(|policy| ![Policy::Off, Policy::Prime].contains(policy)) {
        for scope in Scope::ALL {
            let began = Instant::now();
            let plan = Plan::of(&graph, &Settings { policy, scope, ..Settings::default() });
            assert_eq!(plan.edits.len(), 2_000, "{policy}, {scope}");
            assert_eq!(hazard::find(&plan.apply(&graph)), [], "{policy}, {scope}");
            assert!(began.elapsed() < Duration::from_secs(20), "{policy}, {scope}: {:?}", began.elapsed());
        }
    }
}

#[test]
fn ids_may_hold_any_bytes() {
    let long = format!("/{}", "x".repeat(64 << 10));
    let ids = ["/\0", "/a\nb", "/../..", "/ ", "/\u{202e}\u{1b}[2J", "/", "", &long];
    let graph = crowd(8, &ids);
    for policy in [Policy::Auto, Policy::Lock, Policy::Order, Policy::Namespace] {
        for scope in Scope::ALL {
            let plan = Plan::of(&graph, &Settings { policy, scope, ..Settings::default() });
            assert_eq!(hazard::find(&plan.apply(&graph)), [], "{policy}, {scope}");
            let text = plan::text(&Planned::new("Dockerfile", &graph, &plan));
            assert!(!text.contains(['\0', '\u{1b}']), "{policy}, {scope}");
        }
    }
    // All users agree, and take the locks in the order of the keys.
    let planned = Plan::of(&graph, &Policy::Lock.into()).apply(&graph);
    for (_, step) in planned.steps() {
        let keys: Vec<_> = step.caches().map(|(_, _, cache)| (&cache.key, cache.sharing)).collect();
        assert!(keys.is_sorted() && keys.iter().all(|(_, sharing)| *sharing == Sharing::Locked));
    }
}

/// Where what was measured says so, a chain leads against the order of the file, in every form of the plan.
#[test]
fn a_chain_follows_what_was_measured() {
    let run = |name: &str| format!("RUN --mount=type=cache,target=/m2 mvn {name}");
    let source = stages(&[&run("a"), &format!("{}\nRUN test b", run("b"))]);
    let (graph, mut settings) = read(&source, &Policy::Order.into()).unwrap();
    let steps: Vec<_> = graph.steps().map(|(_, step)| step.clone()).collect();
    let seconds = |step: &Step| if step.title == "RUN test b" { 60 } else { 4 };
    settings.durations.record(steps.iter().map(|step| (step, Duration::from_secs(seconds(step)))));
    let plan = Plan::of(&graph, &settings);
    let planned = Planned::new("Dockerfile", &graph, &plan);
    insta::assert_snapshot!(plan::text(&planned), @r"
    Dockerfile: 3 stages, 2 steps with caches; 1 warning; 1 step to change

    stage s0 (FROM x, line 1)
      s0/1 line 2: RUN mvn a
          /m2: shared
          after s1/1

    stage s1 (FROM x, line 3)
      s1/1 line 4: RUN mvn b
          /m2: shared

    1 stage without caches

    warning[SharedCacheRace]: 2 concurrent steps use the cache /m2 at once with sharing=shared
      steps: s0/1, s1/1
      order: let each of the steps need the one before it, so that they run one by one
    ");
    insta::assert_snapshot!(plan::mermaid(&planned), @r#"
    %%{init: {"flowchart": {"wrappingWidth": 420, "subGraphTitleMargin": {"top": 4, "bottom": 12}}}}%%
    flowchart TB
      subgraph card0["s0 · FROM x"]
        s0_0["s0/1 · line 2<br/>RUN mvn a<br/>(1) /m2: shared"]:::race
      end
      subgraph card1["s1 · FROM x"]
        s1_0["s1/1 · line 4<br/>RUN mvn b<br/>(1) /m2: shared"]:::race
        s1_1["RUN test b"]:::plain
      end
      s2_0["stage-2<br/>FROM x<br/>2 steps"]:::plain
      s1_0 --> s1_1
      s0_0 --> s2_0
      s1_1 --> s2_0
      s1_0 ==> s0_0
      s0_0 -.- s1_0
      legend["(1) SharedCacheRace: 2 concurrent steps use the cache /m2 at once with sharing=shared#59; mended by order"]:::legend
      linkStyle 4 stroke:#d1242f,stroke-width:2px
      linkStyle 3 stroke:#0969da,stroke-width:2px
      classDef race stroke:#d1242f,stroke-width:2px
      classDef note stroke:#9a6700,stroke-width:2px
      classDef ours stroke:#0969da,stroke-width:2px
      classDef plain stroke:#8c959f,stroke-dasharray:3 3
      classDef legend stroke:none,text-align:left
    "#);
    assert!(plan::dot(&planned).ends_with("}\n"));
    assert!(plan::svg(&planned).ends_with("</svg>\n"));
    // Noise changes nothing.
    settings.durations.record(steps.iter().map(|step| (step, Duration::from_millis(seconds(step) * 1_300))));
    assert_eq!(Plan::of(&graph, &settings), plan);
    // A text has its stages in one order.
    settings.medium = Medium::Text;
    let changes = Plan::of(&graph, &settings).changes(&graph);
    assert_eq!(changes.iter().map(|change| &*graph.step(change.step).id).collect::<Vec<_>>(), ["s1/1"]);
}
