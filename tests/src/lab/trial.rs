//! One run of a situation.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Error, Result, ensure};
use xtask::build::{self, Build, Ended, Outcome};

use super::observe::{self, Usage};
use super::raw::Run;
use super::situation::{Course, Situation, lab_file};
use super::strategy::{STRATEGIES, Strategy};
use crate::Subject;

/// What became of a run.
#[derive(Debug)]
pub(super) enum Trial {
    /// It ran.
    Ran(Run),
    /// The frontend does not know the strategy: its words.
    Refused(String),
}

/// Runs a situation once, from an empty cache.
///
/// # Errors
/// When something fails that is not the build: the laboratory's own failure.
pub(super) fn run(subject: &Subject, situation: &Situation, strategy: &Strategy) -> Result<Trial> {
    build::forget(&subject.client)?;
    let before = Usage::of(&subject.client)?;
    let build = || Ok::<_, Error>(strategy.build(subject, &situation.dockerfile())?.limit(situation.limit));
    let other =
        |by: &Strategy, name| Ok::<_, Error>(by.build(subject, &lab_file(name))?.limit(situation.limit));
    let outcome = match situation.course {
        Course::Alone => build()?.run()?,
        Course::TwoPlatforms => build()?.argument("--platform=linux/amd64,linux/arm64").run()?,
        Course::Beside { neighbour, same } => {
            let by = if same { strategy } else { &STRATEGIES[0] };
            beside(build()?, || Ok(other(by, neighbour)?.argument("--no-cache")))?
        }
        Course::Together { with } => together(build()?, other(strategy, with)?)?,
        Course::AfterFailure => after(build()?.argument("--build-arg=FAIL=1"), Ended::Failed, build()?)?,
        Course::AfterInterrupt => after(build()?.limit(Duration::from_secs(1)), Ended::Hung, build()?)?,
    };
    match strategy.refusal(&outcome) {
        Some(words) => Ok(Trial::Refused(words.trim().to_owned())),
        None => {
            let caches = strategy.caches(situation);
            let run = observe::run(&subject.client, &outcome, situation.words, caches, &before)?;
            Ok(Trial::Ran(run))
        }
    }
}

/// A build, and its neighbour as long as it takes. What becomes of the neighbour does not count, but it must have run.
fn beside(build: Build, neighbour: impl Fn() -> Result<Build> + Sync) -> Result<Outcome> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let neighbours = scope.spawn(|| -> Result<usize> {
            let mut built = 0;
            while !over.load(Ordering::Relaxed) {
                built += usize::from(neighbour()?.run()?.succeeded());
            }
            Ok(built)
        });
        let outcome = build.run();
        over.store(true, Ordering::Relaxed);
        let built = joined(neighbours)??;
        let outcome = outcome?;
        ensure!(built > 0 || !outcome.succeeded(), "no neighbour was built, so nobody was beside it");
        Ok(outcome)
    })
}

/// Two builds at once: the longer wall, the worse end.
fn together(one: Build, other: Build) -> Result<Outcome> {
    let (one, other) = thread::scope(|scope| -> Result<_> {
        let other = scope.spawn(|| other.run());
        let one = one.run();
        Ok((one?, joined(other)??))
    })?;
    let worse = |a, b| match (a, b) {
        (Ended::Hung, _) | (_, Ended::Hung) => Ended::Hung,
        (Ended::Failed, _) | (_, Ended::Failed) => Ended::Failed,
        (Ended::Well, Ended::Well) => Ended::Well,
    };
    Ok(Outcome {
        ended: worse(one.ended, other.ended),
        code: one.code.max(other.code),
        wall: one.wall.max(other.wall),
        output: one.output + &other.output,
    })
}

/// The second one, once the first has ended as it should. One that ended otherwise is the outcome.
fn after(first: Build, expected: Ended, second: Build) -> Result<Outcome> {
    let outcome = first.run()?;
    if outcome.ended == Ended::Hung && expected != Ended::Hung {
        return Ok(outcome);
    }
    // Where a build fails by itself, it cannot be interrupted; the one after it tells the same.
    ensure!(outcome.ended != Ended::Well, "the first build was to be cut off, and ended well");
    second.run()
}

fn joined<T>(thread: thread::ScopedJoinHandle<'_, T>) -> Result<T> {
    thread.join().ok().context("a thread of the laboratory panicked")
}
