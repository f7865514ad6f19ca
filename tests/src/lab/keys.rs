//! What a change leaves in the cache, under every strategy: of steps that did not change, all.

use anyhow::{Context, Result, ensure};
use xtask::build::{self, Build, Outcome};
use xtask::command;
use xtask::registry::Registry;

use super::Selection;
use super::raw::{Key, LABORATORY_FAILED};
use super::situation::lab_file;
use super::strategy::Strategy;
use crate::Subject;
use crate::differential::progress;

const FILE: &str = "keys";
/// What [`progress::steps`] reads.
const PROGRESS: &str = "--progress=rawjson";
const STRATEGIES: [&str; 6] = [CONTROL, "auto", "lock", "order", "prime", "namespace"];

/// What the engine's own frontend loses, of so many tries the worst, is no loss of ours.
const CONTROL: &str = "upstream";
const TRIES: usize = 3;

/// How a cache leaves the engine.
#[derive(Clone, Copy)]
enum Export {
    /// To a registry, on its own, as `mode=`.
    Registry(&'static str),
    /// In the image, which is pushed: what an engine with a graph driver can do.
    Inline,
}

const SWITCHED_ON: &str = "switched on, second build";
const FIRST_STAGE: &str = "first stage changed";

const EXPORTS: [(&str, Export); 3] = [
    ("import, registry, mode=min", Export::Registry("min")),
    ("import, registry, mode=max", Export::Registry("max")),
    ("import, inline", Export::Inline),
];

/// Asks all questions of an engine.
///
/// # Errors
/// When a build fails that has no reason to.
pub(super) fn run(subject: &Subject, selection: &Selection) -> Result<Vec<Key>> {
    let registry = Registry::start()?;
    fresh_is_empty(subject)?;
    let mut keys = Vec::new();
    for strategy in
        STRATEGIES.iter().filter(|name| selection.has_strategy(name)).filter_map(|name| Strategy::named(name))
    {
        let asked = Asked { subject, strategy, registry: &registry };
        let tries = if strategy.name == CONTROL { TRIES } else { 1 };
        let own = [(SWITCHED_ON, None), (FIRST_STAGE, None)];
        let imports = EXPORTS.iter().map(|(name, export)| (*name, Some(*export)));
        for (question, export) in own.into_iter().chain(imports) {
            let answers = (0..tries).map(|_| asked.answer(question, export));
            let Some(key) = answers.max_by_key(|key| key.missed.len()) else { continue };
            eprintln!("{} {}, {}: {}", key.engine, key.question, key.strategy, shown(&key));
            keys.push(key);
        }
    }
    Ok(keys)
}

/// Without a cache to import, a fresh engine runs all of it: or being cached there tells nothing.
fn fresh_is_empty(subject: &Subject) -> Result<()> {
    let fresh = Subject::beside(subject.engine.kind(), &subject.client)?;
    let outcome = Build::of(&fresh.client, &lab_file(FILE)).argument(PROGRESS).run()?;
    must_succeed(&outcome)?;
    let steps = progress::steps(&outcome.output);
    ensure!(!steps.iter().any(|(_, cached)| *cached), "a fresh engine has something cached: {steps:?}");
    fresh.engine.stop()
}

struct Asked<'a> {
    subject: &'a Subject,
    strategy: &'a Strategy,
    registry: &'a Registry,
}

impl Asked<'_> {
    /// One question must not cost the others.
    fn answer(&self, question: &str, export: Option<Export>) -> Key {
        let answer = match (question, export) {
            (_, Some(export)) => self.imported(question, export),
            (SWITCHED_ON, None) => self.switched_on(),
            (_, None) => self.first_stage_changed(),
        };
        answer.unwrap_or_else(|error| self.not_run(question, &format!("{LABORATORY_FAILED}: {error:#}")))
    }

    fn build(&self, by: &Strategy, subject: &Subject) -> Result<Build> {
        // An attestation is no part of a cache.
        Ok(by.build(subject, &lab_file(FILE))?.argument("--provenance=false").argument(PROGRESS))
    }

    /// Upstream has built it; then the strategy does, twice.
    fn switched_on(&self) -> Result<Key> {
        build::forget(&self.subject.client)?;
        let upstream = Strategy::named("upstream").context("it is in the table")?;
        must_succeed(&self.build(upstream, self.subject)?.run()?)?;
        let first = self.build(self.strategy, self.subject)?.run()?;
        if let Some(words) = self.strategy.refusal(&first) {
            return Ok(self.not_run(SWITCHED_ON, words));
        }
        must_succeed(&first)?;
        let second = self.build(self.strategy, self.subject)?.run()?;
        self.key(SWITCHED_ON, &second, |_| true)
    }

    /// Of the other stages nothing has changed. What the last stage copies from the first one has.
    fn first_stage_changed(&self) -> Result<Key> {
        let question = FIRST_STAGE;
        build::forget(&self.subject.client)?;
        let first = self.build(self.strategy, self.subject)?.run()?;
        if let Some(words) = self.strategy.refusal(&first) {
            return Ok(self.not_run(question, words));
        }
        must_succeed(&first)?;
        let changed = self.build(self.strategy, self.subject)?.argument("--build-arg=FIRST=changed").run()?;
        let is_first = |step: &str| step.starts_with("[s0 ");
        ensure!(
            progress::steps(&changed.output).iter().all(|(step, cached)| !cached || !is_first(step)),
            "the first stage was to be changed, and is cached:\n{}",
            changed.output
        );
        let is_other = |step: &str| step.starts_with("[s1 ") || step.starts_with("[s2 ");
        self.key(question, &changed, is_other)
    }

    /// A new engine has nothing but the cache of this one.
    fn imported(&self, question: &str, export: Export) -> Result<Key> {
        let words = |text: &str| text.replace([',', ' ', '='], "-");
        let reference =
            format!("{}/{}:{}", self.registry.address(), words(question), words(self.strategy.name));
        build::forget(&self.subject.client)?;
        let first = self.build(self.strategy, self.subject)?;
        let first = match export {
            Export::Registry(mode) => {
                first.argument(&format!("--cache-to=type=registry,mode={mode},ref={reference}"))
            }
            Export::Inline => {
                first.argument("--cache-to=type=inline").argument(&format!("--tag={reference}"))
            }
        };
        let first = first.run()?;
        if let Some(words) = self.strategy.refusal(&first) {
            return Ok(self.not_run(question, words));
        }
        let unsupported = first.output.lines().find(|line| line.contains("not supported"));
        if let Some(words) = unsupported.filter(|_| !first.succeeded()) {
            return Ok(self.not_run(question, words));
        }
        must_succeed(&first)?;
        if matches!(export, Export::Inline) {
            command::run(self.subject.client.docker().args(["push", &reference]))?;
        }
        let fresh = Subject::beside(self.subject.engine.kind(), &self.subject.client)?;
        let import = format!("--cache-from=type=registry,ref={reference}");
        let second = self.build(self.strategy, &fresh)?.argument(&import).run()?;
        fresh.engine.stop()?;
        self.key(question, &second, |_| true)
    }

    fn key(&self, question: &str, outcome: &Outcome, should: impl Fn(&str) -> bool) -> Result<Key> {
        must_succeed(outcome)?;
        let steps = progress::steps(&outcome.output);
        // A step that the frontend puts in is not the user's, and the primer runs in every build.
        let of_user = steps.into_iter().filter(|(name, _)| !name.contains("ci-build") && should(name));
        let (cached, missed): (Vec<_>, Vec<_>) = of_user.partition(|(_, cached)| *cached);
        ensure!(!cached.is_empty() || !missed.is_empty(), "no step is to be seen:\n{}", outcome.output);
        if !missed.is_empty() {
            eprintln!("{question}, {}: {missed:?} of\n{}", self.strategy.name, outcome.output);
        }
        Ok(Key {
            cached: cached.len(),
            missed: missed.into_iter().map(|(name, _)| name).collect(),
            ..self.unanswered(question)
        })
    }

    fn not_run(&self, question: &str, why: &str) -> Key {
        Key { not_run: Some(why.trim().to_owned()), ..self.unanswered(question) }
    }

    fn unanswered(&self, question: &str) -> Key {
        Key {
            question: question.to_owned(),
            engine: self.subject.engine.kind().name().to_owned(),
            strategy: self.strategy.name.to_owned(),
            not_run: None,
            cached: 0,
            missed: Vec::new(),
        }
    }
}

fn must_succeed(outcome: &Outcome) -> Result<()> {
    ensure!(
        outcome.succeeded(),
        "a build for the cache's sake ended {:?}:\n{}",
        outcome.ended,
        outcome.output
    );
    Ok(())
}

/// Whether a strategy lost what the engine's own frontend keeps.
pub(super) fn is_loss(key: &Key, all: &[Key]) -> bool {
    let is_upstreams = |other: &&Key| {
        (&*other.strategy, &other.engine, &other.question) == (CONTROL, &key.engine, &key.question)
    };
    let upstreams = all.iter().find(is_upstreams).map_or(0, |other| other.missed.len());
    key.strategy != CONTROL && key.missed.len() > upstreams
}

/// An answer in a few words.
pub(super) fn shown(key: &Key) -> String {
    match &key.not_run {
        Some(reason) => format!("NOT RUN: {reason}"),
        None if key.missed.is_empty() => format!("all {} cached", key.cached),
        None => format!("{} cached, {} not: {}", key.cached, key.missed.len(), key.missed[0]),
    }
}
