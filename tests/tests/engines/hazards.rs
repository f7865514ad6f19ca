//! Builds that break upstream, and a control beside each: upstream must break where we say that it does.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use ci_build_tests::Subject;
use xtask::build::{self, Build, Ended, Outcome};
use xtask::images;

/// A build that takes one or two seconds and is not done after this hangs.
const HANGS: Duration = Duration::from_secs(10);

/// Cold builds, each from an empty cache.
fn cold(subject: &Subject, runs: usize, build: impl Fn() -> Build) -> Result<Vec<Outcome>> {
    (0..runs)
        .map(|_| {
            build::forget(&subject.client)?;
            build().run()
        })
        .collect()
}

/// Cold builds of upstream until one breaks as `breaks` says: one of so many has to.
fn control(
    subject: &Subject,
    most: usize,
    build: impl Fn() -> Build,
    breaks: impl Fn(&Outcome) -> bool,
) -> Result<()> {
    for _ in 0..most {
        build::forget(&subject.client)?;
        if breaks(&build().run()?) {
            return Ok(());
        }
    }
    bail!("upstream did not break in {most} builds: the control is none")
}

fn all_succeed(outcomes: &[Outcome]) -> Result<()> {
    for (number, outcome) in outcomes.iter().enumerate() {
        ensure!(outcome.succeeded(), "build {number} ended {:?}:\n{}", outcome.ended, outcome.output);
    }
    Ok(())
}

pub(crate) fn lock_inversion(subject: &Subject) -> Result<()> {
    const NAME: &str = "CacheLockInversion/two";
    all_succeed(&cold(subject, 2, || subject.ours(NAME).limit(6 * HANGS))?)?;
    control(subject, 20, || subject.upstream(NAME).limit(HANGS), |outcome| outcome.ended == Ended::Hung)
}

pub(crate) fn apt(subject: &Subject) -> Result<()> {
    const NAME: &str = "SharedCacheRace/apt";
    images::debian(&subject.client)?;
    all_succeed(&cold(subject, 1, || subject.ours(NAME))?)?;
    control(subject, 5, || subject.upstream(NAME), |outcome| outcome.output.contains("Could not get lock"))
}

pub(crate) fn mixed_sharing(subject: &Subject) -> Result<()> {
    const NAME: &str = "MixedCacheSharing/locked-then-shared";
    let is_empty = |outcome: &Outcome| {
        outcome.output.contains("\nERROR") && outcome.output.contains("the cache is empty")
    };
    for _ in 0..2 {
        all_succeed(&cold(subject, 1, || subject.ours(NAME))?)?;
        let records = build::cache_mounts(&subject.client)?;
        ensure!(records == 1, "ours left {records} records of one cache");
    }
    control(subject, 10, || subject.upstream(NAME), is_empty)?;
    let records = build::cache_mounts(&subject.client)?;
    ensure!(records > 1, "upstream's cache did not fork: the control is none");
    Ok(())
}

pub(crate) fn race(subject: &Subject) -> Result<()> {
    const NAME: &str = "SharedCacheRace/two-stages";
    all_succeed(&cold(subject, 2, || subject.ours(NAME))?)?;
    all_succeed(&cold(subject, 2, || subject.ours(NAME).argument("--build-arg=CI_BUILD_POLICY=namespace"))?)?;
    control(subject, 10, || subject.upstream(NAME), |outcome| outcome.ended == Ended::Failed)
}
