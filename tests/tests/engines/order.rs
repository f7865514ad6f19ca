//! `policy=order` in the gateway: who waits, what stays cached, and what is in the image.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use ci_build_tests::{Subject, files};
use xtask::build::{self, Build, Ended, Outcome};

/// Side by side, one of the two fails: both make one directory in the cache.
const TEXT: &str = "\
FROM local/busybox AS base
RUN mkdir /c
FROM base AS a
ARG A
RUN --mount=type=cache,target=/c mkdir /c/turn && sleep 0.5 && rmdir /c/turn && echo 1 > /a
FROM base AS b
ARG B
RUN --mount=type=cache,target=/c mkdir /c/turn && sleep 0.5 && rmdir /c/turn && echo 2 > /b
FROM b
COPY --from=a /a /
";

struct Builds<'s> {
    subject: &'s Subject,
    _dir: tempfile::TempDir,
    text: PathBuf,
}

impl<'s> Builds<'s> {
    fn of(subject: &'s Subject) -> Result<Self> {
        let dir = tempfile::tempdir().context("cannot create a directory")?;
        let text = dir.path().join("Dockerfile");
        std::fs::write(&text, TEXT).context("cannot write a Dockerfile")?;
        Ok(Self { subject, _dir: dir, text })
    }

    fn upstream(&self) -> Build {
        Build::of(&self.subject.client, &self.text)
    }

    fn ours(&self, arguments: &[&str]) -> Build {
        let build =
            self.upstream().through(&self.subject.frontend).argument("--build-arg=CI_BUILD_POLICY=order");
        arguments.iter().fold(build, |build, argument| build.argument(argument))
    }

    fn built(&self, arguments: &[&str]) -> Result<Outcome> {
        let outcome = self.ours(arguments).run()?;
        ensure!(outcome.succeeded(), "{arguments:?} ended {:?}:\n{}", outcome.ended, outcome.output);
        Ok(outcome)
    }
}

/// Whether a stage's command came from the cache.
fn is_cached(outcome: &Outcome, stage: &str) -> Option<bool> {
    let prefix = format!("[{stage} ");
    let steps = outcome.steps();
    let mut runs =
        steps.iter().filter(|(name, _)| name.starts_with(&prefix) && name.contains("] RUN --mount"));
    runs.next().map(|(_, cached)| *cached)
}

/// The steps of one cache run one after the other, and one that changes does not make the other run.
pub(crate) fn order(subject: &Subject) -> Result<()> {
    let builds = Builds::of(subject)?;
    build::forget(&subject.client)?;
    let control = builds.upstream().run()?;
    ensure!(
        control.ended == Ended::Failed,
        "upstream did not fail: the control is none:\n{}",
        control.output
    );

    build::forget(&subject.client)?;
    builds.built(&[])?;
    let again = builds.built(&[])?;
    let steps = again.steps();
    ensure!(
        !steps.is_empty() && steps.iter().all(|(_, cached)| *cached),
        "not all cached:\n{}",
        again.output
    );

    // Whichever of the two waits for the other.
    for (change, cached) in [("A", [false, true]), ("B", [true, false])] {
        build::forget(&subject.client)?;
        builds.built(&[])?;
        let changed = builds.built(&[&format!("--build-arg={change}=1")])?;
        let seen = ["a", "b"].map(|stage| is_cached(&changed, stage));
        ensure!(seen == cached.map(Some), "after {change} changed: {seen:?}\n{}", changed.output);
    }
    builds.built(&["--build-arg=A=2", "--build-arg=B=2"])?;
    Ok(())
}

/// A build of one stage runs that stage alone.
pub(crate) fn order_of_one_target(subject: &Subject) -> Result<()> {
    let builds = Builds::of(subject)?;
    for (target, other) in [("a", "[b "), ("b", "[a ")] {
        build::forget(&subject.client)?;
        let outcome = builds.built(&[&format!("--target={target}")])?;
        ensure!(is_cached(&outcome, target) == Some(false), "{target} did not run:\n{}", outcome.output);
        ensure!(!outcome.output.contains(other), "more than {target} ran:\n{}", outcome.output);
    }
    Ok(())
}

/// The image holds what upstream's holds.
pub(crate) fn order_leaves_nothing(subject: &Subject) -> Result<()> {
    let builds = Builds::of(subject)?;
    build::forget(&subject.client)?;
    let ours = files(&subject.client, builds.ours(&[]))?;
    // Upstream's stages must not meet, or they fail.
    for stage in ["a", "b"] {
        let outcome = builds.upstream().argument(&format!("--target={stage}")).run()?;
        ensure!(outcome.succeeded(), "{}", outcome.output);
        ensure!(is_cached(&outcome, stage) == Some(false), "the control is none:\n{}", outcome.output);
    }
    let upstream = files(&subject.client, builds.upstream())?;
    ensure!(ours.contains("\nb Regular") && ours == upstream, "ours:\n{ours}upstream:\n{upstream}");
    Ok(())
}
