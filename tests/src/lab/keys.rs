//! What a change leaves in the cache, under every strategy: of steps that did not change, all.

use anyhow::{Context, Result, ensure};
use xtask::build::{self, Build, Outcome};
use xtask::command;
use xtask::registry::Registry;

use super::Selection;
use super::raw::Key;
use super::situation::lab_file;
use super::strategy::Strategy;
use crate::Subject;

const FILE: &str = "walls";
const STRATEGIES: [&str; 5] = ["auto", "lock", "order", "prime", "namespace"];

/// A cache that leaves the engine: what it is called, how it is asked for.
const EXPORTS: [(&str, &str); 3] = [
    ("registry, mode=min", "type=registry,mode=min,ref="),
    ("registry, mode=max", "type=registry,mode=max,ref="),
    ("inline", "type=inline"),
];

/// Asks all questions of an engine.
///
/// # Errors
/// When a build fails that has no reason to.
pub(super) fn run(subject: &Subject, selection: &Selection) -> Result<Vec<Key>> {
    let registry = Registry::start()?;
    let mut keys = Vec::new();
    for strategy in
        STRATEGIES.iter().filter(|name| selection.has_strategy(name)).filter_map(|name| Strategy::named(name))
    {
        let asked = Asked { subject, strategy, registry: &registry };
        keys.push(asked.switched_on()?);
        keys.push(asked.first_stage_changed()?);
        for (name, export) in EXPORTS {
            keys.push(asked.imported(name, export)?);
        }
        for key in &keys[keys.len() - 2 - EXPORTS.len()..] {
            eprintln!("{} {}, {}: {}", key.engine, key.question, key.strategy, shown(key));
        }
    }
    Ok(keys)
}

struct Asked<'a> {
    subject: &'a Subject,
    strategy: &'a Strategy,
    registry: &'a Registry,
}

impl Asked<'_> {
    fn build(&self, by: &Strategy, subject: &Subject) -> Build {
        // An attestation is no part of a cache.
        by.build(subject, &lab_file(FILE)).argument("--provenance=false")
    }

    /// Upstream has built it; then the strategy does, twice.
    fn switched_on(&self) -> Result<Key> {
        build::forget(&self.subject.client)?;
        let upstream = Strategy::named("upstream").context("it is in the table")?;
        must_succeed(&self.build(upstream, self.subject).run()?)?;
        let first = self.build(self.strategy, self.subject).run()?;
        if let Some(words) = self.strategy.refusal(&first) {
            return Ok(self.not_run("switched on, second build", words));
        }
        must_succeed(&first)?;
        let second = self.build(self.strategy, self.subject).run()?;
        self.key("switched on, second build", &second, |_| true)
    }

    /// Of the other stages nothing has changed. What the last stage copies from the first one has.
    fn first_stage_changed(&self) -> Result<Key> {
        build::forget(&self.subject.client)?;
        let first = self.build(self.strategy, self.subject).run()?;
        if let Some(words) = self.strategy.refusal(&first) {
            return Ok(self.not_run("first stage changed", words));
        }
        must_succeed(&first)?;
        let changed = self.build(self.strategy, self.subject).argument("--build-arg=FIRST=changed").run()?;
        self.key("first stage changed", &changed, |step| step.starts_with("[s") && !step.starts_with("[s0 "))
    }

    /// A new engine has nothing but the cache of this one.
    fn imported(&self, name: &str, export: &str) -> Result<Key> {
        let question = format!("import, {name}");
        let kind = self.subject.engine.kind();
        let unspaced = self.strategy.name.replace([',', ' ', '='], "-");
        let reference =
            format!("{}/{}:{unspaced}", self.registry.address(), name.replace([',', ' ', '='], "-"));
        build::forget(&self.subject.client)?;
        let first = self.build(self.strategy, self.subject);
        let is_inline = !export.ends_with('=');
        let first = if is_inline {
            first.argument(&format!("--cache-to={export}")).argument(&format!("--tag={reference}")).run()?
        } else {
            first.argument(&format!("--cache-to={export}{reference}")).run()?
        };
        if let Some(words) = self.strategy.refusal(&first) {
            return Ok(self.not_run(&question, words));
        }
        let unsupported = first.output.lines().find(|line| line.contains("not supported"));
        if let Some(words) = unsupported.filter(|_| !first.succeeded()) {
            return Ok(self.not_run(&question, words));
        }
        must_succeed(&first)?;
        if is_inline {
            command::run(self.subject.client.docker().args(["push", &reference]))?;
        }
        let fresh = Subject::beside(kind, &self.subject.client)?;
        let import = format!("--cache-from=type=registry,ref={reference}");
        let second = self.build(self.strategy, &fresh).argument(&import).run()?;
        fresh.engine.stop()?;
        self.key(&question, &second, |_| true)
    }

    fn key(&self, question: &str, outcome: &Outcome, should: impl Fn(&str) -> bool) -> Result<Key> {
        must_succeed(outcome)?;
        let steps = outcome.steps();
        // A step that the frontend puts in is not the user's, and the primer runs in every build.
        let of_user = steps.into_iter().filter(|(name, _)| !name.contains("ci-build") && should(name));
        let (cached, missed): (Vec<_>, Vec<_>) = of_user.partition(|(_, cached)| *cached);
        ensure!(!cached.is_empty() || !missed.is_empty(), "no step is to be seen:\n{}", outcome.output);
        Ok(Key {
            cached: cached.len(),
            missed: missed.into_iter().map(|(name, _)| name.to_owned()).collect(),
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

/// An answer in a few words.
pub(super) fn shown(key: &Key) -> String {
    match &key.not_run {
        Some(reason) => format!("NOT RUN: {reason}"),
        None if key.missed.is_empty() => format!("all {} cached", key.cached),
        None => format!("{} cached, {} not: {}", key.cached, key.missed.len(), key.missed[0]),
    }
}
