//! The life of one resource, a type a step (docs/recovery.md draws it).
//!
//! The intent is on the disk before the resource exists; from then on the journal may lag behind what is true, and is never
//! ahead of it: what is written later says where to look first, and what is found by the record's name is found
//! without it. So only the intent can fail for want of room.

use std::marker::PhantomData;

use jiff::Timestamp;

use super::owner::Owner;
use super::record::{Record, Step};
use super::{Journal, encoded};
use crate::failpoint;
use crate::store::{Error, Held};

/// It is about to be made.
#[derive(Debug)]
pub struct Intended;
/// It is there.
#[derive(Debug)]
pub struct Created;
/// It runs.
#[derive(Debug)]
pub struct Running;
/// It is being removed.
#[derive(Debug)]
pub struct Removing;

/// A record of ours, at some step. Dropped, it stays for recovery to see to.
#[derive(Debug)]
#[must_use = "what is dropped is left to recovery"]
pub struct Entry<'a, S> {
    journal: &'a Journal,
    held: Held,
    record: Record,
    step: PhantomData<S>,
}

impl Journal {
    /// Writes that a resource is about to be made. It is on the disk when this returns, and only then may the resource be
    /// made.
    ///
    /// # Errors
    /// When it cannot be written: then the resource must not be made.
    pub fn intend(&self, record: Record) -> Result<Entry<'_, Intended>, Error> {
        failpoint::reach("journal.adding");
        let record = Record { step: Step::Intended, failure: None, ..record };
        let held = self.records.add(&encoded(&record))?;
        failpoint::reach("journal.added");
        Ok(Entry { journal: self, held, record, step: PhantomData })
    }
}

impl<'a, S> Entry<'a, S> {
    /// The record's name, which the resource carries as its label `ci-build.run`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.held.name()
    }

    /// Since when the resource was intended.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.record.since
    }

    fn on<T>(mut self, step: Step) -> Entry<'a, T> {
        self.record.step = step;
        self.write();
        let Self { journal, held, record, .. } = self;
        Entry { journal, held, record, step: PhantomData }
    }

    fn left(mut self, reason: String) {
        self.record = self.record.clone().failed(reason, Timestamp::now());
        self.write();
    }

    /// What cannot be written is found by the name all the same.
    fn write(&mut self) {
        failpoint::reach("journal.changing");
        let _ = self.journal.records.change(&mut self.held, &encoded(&self.record));
        failpoint::reach("journal.changed");
    }
}

impl<'a> Entry<'a, Intended> {
    /// It is there, under this id.
    pub fn created(self, id: String) -> Entry<'a, Created> {
        self.on(Step::Created(id))
    }

    /// It may be there, and could not be removed or not even looked for: recovery tries again.
    pub fn failed(self, reason: String) {
        self.left(reason);
    }

    /// It was never made, or is gone: nothing is left to say.
    ///
    /// # Errors
    /// When the record cannot be removed; recovery does it then.
    pub fn never_made(self) -> Result<(), Error> {
        failpoint::reach("journal.forgetting");
        self.journal.records.remove(self.held.name())
    }
}

impl<'a> Entry<'a, Created> {
    /// It runs.
    pub fn running(self) -> Entry<'a, Running> {
        let step = Step::Running(self.record.id().unwrap_or_default().into());
        self.on(step)
    }

    /// It goes without having run, or after it.
    pub fn removing(self) -> Entry<'a, Removing> {
        let step = Step::Removing(self.record.id().map(Into::into));
        self.on(step)
    }
}

impl<'a> Entry<'a, Running> {
    /// It goes.
    pub fn removing(self) -> Entry<'a, Removing> {
        let step = Step::Removing(self.record.id().map(Into::into));
        self.on(step)
    }

    /// It runs on, and goes with this job.
    ///
    /// # Errors
    /// When that cannot be written: then it would go with us, so it is not to be left running.
    pub fn hand_over(mut self, job: Owner) -> Result<(), Box<(Self, Error)>> {
        let record = Record { owner: job, is_job: true, ..self.record.clone() };
        match self.journal.records.change(&mut self.held, &encoded(&record)) {
            Ok(()) => Ok(()),
            Err(refused) => Err(Box::new((self, refused))),
        }
    }
}

impl Entry<'_, Removing> {
    /// It is gone.
    ///
    /// # Errors
    /// When the record cannot be removed; recovery does it then.
    pub fn gone(self) -> Result<(), Error> {
        failpoint::reach("journal.forgetting");
        self.journal.records.remove(self.held.name())
    }

    /// It could not be removed: recovery tries again.
    pub fn failed(self, reason: String) {
        self.left(reason);
    }
}
