//! Engines that tests share, one test at a time: those that are asked for are started, and wait for the next test.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use anyhow::{Result, bail};
use ci_build_tests::Subject;
use ci_build_tests::durations::Durations;
use xtask::{build, engines::Kind};

/// The engines of one kind.
pub(crate) struct Pool {
    kind: Kind,
    most: usize,
    durations: Arc<Durations>,
    engines: Mutex<Engines>,
    changed: Condvar,
}

#[derive(Default)]
struct Engines {
    idle: Vec<Subject>,
    /// How many there are, idle or not.
    count: usize,
    /// Why one did not start: then none is tried any more, and all tests of the kind fail.
    broken: Option<String>,
}

impl Pool {
    /// As many as this at most. How long they take to start is taken down.
    pub(crate) fn new(kind: Kind, most: usize, durations: Arc<Durations>) -> Self {
        Self { kind, most, durations, engines: Mutex::default(), changed: Condvar::new() }
    }

    /// Has a test use an engine that nobody else uses meanwhile, and whose cache is empty: a control that broke as it should
    /// leaves a cache mount by which the next test's build would break, too.
    pub(crate) fn with(&self, test: impl FnOnce(&Subject) -> Result<()>) -> Result<()> {
        let lent = Lent { pool: self, subject: Some(self.take()?) };
        // It is there until it goes back.
        let Some(subject) = &lent.subject else { return Ok(()) };
        build::forget(&subject.client)?;
        test(subject)
    }

    fn take(&self) -> Result<Subject> {
        let mut engines = self.lock();
        loop {
            if let Some(subject) = engines.idle.pop() {
                return Ok(subject);
            }
            if let Some(why) = &engines.broken {
                bail!("the engine does not start: {why}");
            }
            if engines.count < self.most {
                break;
            }
            engines = self.changed.wait(engines).unwrap_or_else(PoisonError::into_inner);
        }
        engines.count += 1;
        drop(engines);
        let started =
            self.durations.of(&format!("{} is started", self.kind.name()), || Subject::start(self.kind));
        started.inspect_err(|error| {
            self.lock().broken = Some(format!("{error:#}"));
            self.changed.notify_all();
        })
    }

    /// Stops them all, and tells what could not be removed.
    pub(crate) fn stop(&self) -> Result<()> {
        let idle = std::mem::take(&mut self.lock().idle);
        idle.into_iter().try_for_each(|Subject { engine, .. }| engine.stop())
    }

    fn lock(&self) -> MutexGuard<'_, Engines> {
        self.engines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An engine in use. It goes back also when its test panics.
struct Lent<'p> {
    pool: &'p Pool,
    subject: Option<Subject>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.pool.lock().idle.extend(self.subject.take());
        self.pool.changed.notify_one();
    }
}
