//! Texts that `ci-build rewrite` made, built by the engine's own frontend: they hold where the original breaks.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ci_build_tests::{Subject, dockerfile};
use xtask::build::{self, Build, Outcome};
use xtask::{command, images};

/// Policies that mend: what is usual, and what only a text could do at first.
const POLICIES: [&str; 2] = ["auto", "order"];

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

/// Cold, and then once more from the cache, by each of these policies.
fn hold(subject: &Subject, name: &str, policies: &[&str]) -> Result<()> {
    let dir = tempfile::tempdir().context("cannot create a directory")?;
    for policy in policies {
        let text = rewritten(subject, &dockerfile(name), policy, dir.path())?;
        build::forget(&subject.client)?;
        built(Build::of(&subject.client, &text)).context(format!("{name}, {policy}"))?;
        let again = built(Build::of(&subject.client, &text))?;
        all_cached(&again).context(format!("{name}, {policy}"))?;
    }
    Ok(())
}

pub(crate) fn races(subject: &Subject) -> Result<()> {
    for name in ["two-stages", "reader-and-writer"] {
        hold(subject, &format!("SharedCacheRace/{name}"), &POLICIES)?;
    }
    Ok(())
}

/// The same with a tool: what is written does not hang on what a step runs.
pub(crate) fn apt(subject: &Subject) -> Result<()> {
    images::debian(&subject.client)?;
    hold(subject, "SharedCacheRace/apt", &["auto"])
}

pub(crate) fn mixed_sharing(subject: &Subject) -> Result<()> {
    hold(subject, "MixedCacheSharing/one-after-the-other", &POLICIES)?;
    const NAME: &str = "MixedCacheSharing/locked-then-shared";
    let dir = tempfile::tempdir().context("cannot create a directory")?;
    for policy in POLICIES {
        let text = rewritten(subject, &dockerfile(NAME), policy, dir.path())?;
        for _ in 0..2 {
            build::forget(&subject.client)?;
            built(Build::of(&subject.client, &text))?;
            let records = build::cache_mounts(&subject.client)?;
            ensure!(records == 1, "{policy} left {records} records of one cache");
        }
        let again = built(Build::of(&subject.client, &text))?;
        all_cached(&again).context(policy)?;
    }
    Ok(())
}

pub(crate) fn lock_inversion(subject: &Subject) -> Result<()> {
    for name in ["two", "three"] {
        hold(subject, &format!("CacheLockInversion/{name}"), &POLICIES)?;
    }
    Ok(())
}

/// A step that comes after another one stays in the cache when that one changes, and waits when both run.
pub(crate) fn order(subject: &Subject) -> Result<()> {
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
    for try_ in 0..2 {
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
