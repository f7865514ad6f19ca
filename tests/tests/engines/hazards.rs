//! Builds that break upstream, and a control beside each: upstream must break where we say that it does.

use std::time::Duration;

use anyhow::{Result, ensure};
use ci_build_tests::{Measured, Runs, Subject};
use serde_json::json;
use xtask::build::{self, Build, Ended, Outcome};

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

/// Cold builds of upstream until one breaks as `breaks` says, or `most`; all of them in a laboratory.
fn control(
    subject: &Subject,
    most: usize,
    build: impl Fn() -> Build,
    breaks: impl Fn(&Outcome) -> bool,
) -> Result<(usize, usize)> {
    let (mut runs, mut broken) = (0, 0);
    while runs < most && (broken == 0 || Runs::of_environment() == Runs::All) {
        build::forget(&subject.client)?;
        runs += 1;
        broken += usize::from(breaks(&build().run()?));
    }
    Ok((runs, broken))
}

fn all_succeed(outcomes: &[Outcome]) -> Result<()> {
    for (number, outcome) in outcomes.iter().enumerate() {
        ensure!(outcome.succeeded(), "build {number} ended {:?}:\n{}", outcome.ended, outcome.output);
    }
    Ok(())
}

fn median(outcomes: &[Outcome]) -> u128 {
    let mut walls: Vec<_> = outcomes.iter().map(|outcome| outcome.wall.as_millis()).collect();
    walls.sort_unstable();
    walls[walls.len() / 2]
}

pub(crate) fn lock_inversion(subject: &Subject, measured: &Measured) -> Result<()> {
    const NAME: &str = "CacheLockInversion/two";
    let ours = cold(subject, Runs::of_environment().of(4, 20), || subject.ours(NAME).limit(6 * HANGS))?;
    let hangs = |outcome: &Outcome| outcome.ended == Ended::Hung;
    let (runs, hung) = control(subject, 20, || subject.upstream(NAME).limit(HANGS), hangs)?;
    measured.keep(
        subject.engine.kind().name(),
        NAME,
        json!({"ours": {"builds": ours.len(), "finished": ours.iter().filter(|o| o.succeeded()).count(), "median_ms": median(&ours)},
               "upstream": {"builds": runs, "hung": hung, "time_limit_s": HANGS.as_secs()}}),
    );
    all_succeed(&ours)?;
    ensure!(hung > 0, "upstream did not hang in {runs} builds: the control is none");
    Ok(())
}

pub(crate) fn apt(subject: &Subject, measured: &Measured) -> Result<()> {
    const NAME: &str = "SharedCacheRace/apt";
    let ours = cold(subject, Runs::of_environment().of(1, 10), || subject.ours(NAME))?;
    let breaks = |outcome: &Outcome| outcome.output.contains("Could not get lock");
    let (runs, broken) =
        control(subject, Runs::of_environment().of(5, 10), || subject.upstream(NAME), breaks)?;
    measured.keep(
        subject.engine.kind().name(),
        NAME,
        json!({"ours": {"builds": ours.len(), "finished": ours.iter().filter(|o| o.succeeded()).count(), "median_ms": median(&ours)},
               "upstream": {"builds": runs, "could_not_get_lock": broken}}),
    );
    all_succeed(&ours)?;
    ensure!(broken > 0, "upstream broke in none of {runs} builds: the control is none");
    Ok(())
}

pub(crate) fn mixed_sharing(subject: &Subject, measured: &Measured) -> Result<()> {
    const NAME: &str = "MixedCacheSharing/locked-then-shared";
    let is_empty = |outcome: &Outcome| {
        outcome.output.contains("\nERROR") && outcome.output.contains("the cache is empty")
    };
    let mut ours = Vec::new();
    for _ in 0..Runs::of_environment().of(2, 10) {
        ours.extend(cold(subject, 1, || subject.ours(NAME))?);
        let records = build::cache_mounts(&subject.client)?;
        ensure!(records == 1, "ours left {records} records of one cache");
    }
    let (runs, empty) = control(subject, 10, || subject.upstream(NAME), is_empty)?;
    let records = build::cache_mounts(&subject.client)?;
    measured.keep(
        subject.engine.kind().name(),
        NAME,
        json!({"ours": {"builds": ours.len(), "empty": ours.iter().filter(|o| is_empty(o)).count(), "records": 1, "median_ms": median(&ours)},
               "upstream": {"builds": runs, "empty": empty, "records": records}}),
    );
    all_succeed(&ours)?;
    ensure!(empty > 0, "upstream showed no empty cache in {runs} builds: the control is none");
    ensure!(records > 1, "upstream's cache did not fork: the control is none");
    Ok(())
}

pub(crate) fn race(subject: &Subject, measured: &Measured) -> Result<()> {
    const NAME: &str = "SharedCacheRace/two-stages";
    let runs = Runs::of_environment().of(2, 10);
    let ours = cold(subject, runs, || subject.ours(NAME))?;
    let own = cold(subject, runs, || subject.ours(NAME).argument("--build-arg=CI_BUILD_POLICY=namespace"))?;
    let (tried, broken) =
        control(subject, 10, || subject.upstream(NAME), |outcome| outcome.ended == Ended::Failed)?;
    measured.keep(
        subject.engine.kind().name(),
        NAME,
        json!({"lock": {"builds": ours.len(), "median_ms": median(&ours)}, "namespace": {"builds": own.len(), "median_ms": median(&own)},
               "upstream": {"builds": tried, "failed": broken}}),
    );
    all_succeed(&ours)?;
    all_succeed(&own)?;
    ensure!(broken > 0, "upstream did not fail in {tried} builds: the control is none");
    Ok(())
}
