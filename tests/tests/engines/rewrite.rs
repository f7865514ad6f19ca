//! Texts that `ci-build rewrite` made, built by the engine's own frontend: they hold where the original breaks.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ci_build_tests::{Measured, Runs, Subject, dockerfile};
use serde_json::json;
use xtask::build::{self, Build, Outcome};
use xtask::command;

/// The policies that mend; in a laboratory all of them.
fn policies() -> &'static [&'static str] {
    match Runs::of_environment() {
        Runs::Few => &["auto", "order"],
        Runs::All => &["auto", "lock", "order", "namespace"],
    }
}

/// A build that takes one or two seconds and is not done after this hangs.
const HANGS: Duration = Duration::from_secs(60);

/// The text for a policy, in a directory that is empty otherwise.
fn rewritten(subject: &Subject, source: &Path, policy: &str, dir: &Path) -> Result<PathBuf> {
    let path = dir.join(format!("{policy}.Dockerfile"));
    let mut rewrite = Command::new(&subject.command);
    command::run(rewrite.args(["rewrite", "--policy", policy, "--output"]).arg(&path).arg(source))?;
    Ok(path)
}

fn built(build: Build) -> Result<Outcome> {
    let outcome = build.limit(HANGS).run()?;
    ensure!(outcome.succeeded(), "it ended {:?}:\n{}", outcome.ended, outcome.output);
    Ok(outcome)
}

/// Everything but the directory of an order's stage: the engine makes an only directory anew each time, in no time, and
/// what follows it is cached.
fn all_cached(outcome: &Outcome) -> Result<()> {
    let steps = outcome.steps();
    let mut work = steps.iter().filter(|(name, _)| !name.contains("] WORKDIR /ci-build-"));
    ensure!(!steps.is_empty() && work.all(|(_, cached)| *cached), "not all cached: {steps:?}");
    Ok(())
}

/// Cold, as often as it takes, and then once more from the cache.
fn hold(subject: &Subject, measured: &Measured, name: &str, few: usize) -> Result<()> {
    let dir = tempfile::tempdir().context("cannot create a directory")?;
    for policy in policies() {
        let text = rewritten(subject, &dockerfile(name), policy, dir.path())?;
        let runs = Runs::of_environment().of(few, 10);
        let mut walls = Vec::new();
        for _ in 0..runs {
            build::forget(&subject.client)?;
            let outcome = built(Build::of(&subject.client, &text)).context(format!("{name}, {policy}"))?;
            walls.push(outcome.wall.as_millis());
        }
        walls.sort_unstable();
        let again = built(Build::of(&subject.client, &text))?;
        all_cached(&again).context(format!("{name}, {policy}"))?;
        measured.keep(
            subject.engine.kind().name(),
            &format!("rewrite {name} {policy}"),
            json!({"builds": runs, "finished": runs, "median_ms": walls[walls.len() / 2]}),
        );
    }
    Ok(())
}

pub(crate) fn races(subject: &Subject, measured: &Measured) -> Result<()> {
    let names = ["two-stages", "reader-and-writer", "eight-stages", "go"];
    for name in &names[..Runs::of_environment().of(2, names.len())] {
        hold(subject, measured, &format!("SharedCacheRace/{name}"), 1)?;
    }
    hold(subject, measured, "SharedCacheRace/apt", 1)
}

pub(crate) fn mixed_sharing(subject: &Subject, measured: &Measured) -> Result<()> {
    hold(subject, measured, "MixedCacheSharing/one-after-the-other", 1)?;
    // With a cache for each stage, the one that the others look into was filled by nobody: that is what was asked for.
    const NAME: &str = "MixedCacheSharing/locked-then-shared";
    let dir = tempfile::tempdir().context("cannot create a directory")?;
    for policy in policies().iter().filter(|policy| **policy != "namespace") {
        let text = rewritten(subject, &dockerfile(NAME), policy, dir.path())?;
        for _ in 0..Runs::of_environment().of(2, 10) {
            build::forget(&subject.client)?;
            built(Build::of(&subject.client, &text))?;
            let records = build::cache_mounts(&subject.client)?;
            ensure!(records == 1, "{policy} left {records} records of one cache");
        }
        let again = built(Build::of(&subject.client, &text))?;
        all_cached(&again).context(*policy)?;
        measured.keep(
            subject.engine.kind().name(),
            &format!("rewrite {NAME} {policy}"),
            json!({"records": 1}),
        );
    }
    Ok(())
}

pub(crate) fn lock_inversion(subject: &Subject, measured: &Measured) -> Result<()> {
    for name in ["two", "three"] {
        hold(subject, measured, &format!("CacheLockInversion/{name}"), 2)?;
    }
    Ok(())
}

/// A step that comes after another one stays in the cache when that one changes, and waits when both run.
pub(crate) fn order(subject: &Subject, _: &Measured) -> Result<()> {
    const TEXT: &str = "\
FROM local/busybox AS a
ARG CHANGE
RUN --mount=type=cache,target=/c mkdir /c/lock && sleep 0.5 && rmdir /c/lock && echo $CHANGE > /a
FROM local/busybox AS b
ARG BOTH
RUN --mount=type=cache,target=/c mkdir /c/lock && sleep 0.5 && rmdir /c/lock && touch /b
FROM local/busybox
COPY --from=a /a /
COPY --from=b /b /
";
    let dir = tempfile::tempdir().context("cannot create a directory")?;
    let source = dir.path().join("Dockerfile");
    std::fs::write(&source, TEXT).context("cannot write a Dockerfile")?;
    let text = rewritten(subject, &source, "order", dir.path())?;
    build::forget(&subject.client)?;
    built(Build::of(&subject.client, &text))?;
    for try_ in 0..Runs::of_environment().of(2, 10) {
        let changed =
            built(Build::of(&subject.client, &text).argument(&format!("--build-arg=CHANGE={try_}")))?;
        let cached = |stage: &str| {
            let steps = changed.steps();
            let mut runs =
                steps.into_iter().filter(|(name, _)| name.starts_with(stage) && name.contains("] RUN "));
            runs.next().map(|(_, cached)| cached)
        };
        ensure!(cached("[a ") == Some(false), "a did not run:\n{}", changed.output);
        ensure!(cached("[b ") == Some(true), "b did run:\n{}", changed.output);
        // Both run anew: side by side, one of them would fail.
        let both = format!("both{try_}");
        let build = Build::of(&subject.client, &text).argument(&format!("--build-arg=CHANGE={both}"));
        built(build.argument(&format!("--build-arg=BOTH={both}")))?;
    }
    Ok(())
}
