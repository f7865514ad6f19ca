//! What was made for somebody and has to go with them: one record a resource, written and synced before it exists
//! (docs/recovery.md).
//!
//! - [`record`](self): what is said of a resource, and when a removal that failed is tried again,
//! - [`Entry`]: the life of a resource, a type a step,
//! - [`Owner`]: with whom it goes.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use crate::store::{self, Alone, Error, Records, State};

mod entry;
mod owner;
mod record;

pub use entry::{Created, Entry, Intended, Removing, Running};
pub use owner::{Fate, NoOwner, Owner};
pub use record::{EngineAt, Failure, Record, Step, What};

/// The label that says which record a resource has.
pub const RUN_LABEL: &str = "ci-build.run";

/// The label that says for which job a resource was made.
pub const JOB_LABEL: &str = "ci-build.job";

/// The records of a host.
#[derive(Debug)]
pub struct Journal {
    records: Records,
}

/// A record as recovery finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its name, which its resource has as a label.
    pub name: String,
    /// What it says; none where that cannot be read, after a crash of the machine.
    pub record: Option<Record>,
    /// Whether its owner has it locked.
    pub is_held: bool,
}

impl Found {
    fn read(found: store::Found) -> Self {
        let record = found.text.and_then(|text| serde_json::from_str(&text).ok());
        Self { name: found.name, record, is_held: found.is_held }
    }
}

impl Journal {
    /// Opens the journal of this process's state directory, and makes it where it is missing.
    ///
    /// # Errors
    /// When the state directory cannot be used.
    pub fn open() -> Result<Self, Error> {
        Ok(Self { records: Records::open("journal")? })
    }

    /// Opens the journal of another state directory.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open_in(state: &Path) -> Result<Self, Error> {
        Ok(Self { records: Records::open_in(state, "journal")? })
    }

    /// What could not be removed, by the journal of this process's state directory: nothing where there is none yet. Makes
    /// nothing.
    ///
    /// # Errors
    /// When the state directory is there and cannot be used.
    pub fn all_failures() -> Result<Vec<Record>, Error> {
        let records = Records::open_if_there(&State::place()?, "journal")?;
        records.map_or(Ok(Vec::new()), |records| Self { records }.failures())
    }

    /// All records.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn list(&self) -> Result<Vec<Found>, Error> {
        Ok(self.records.list()?.into_iter().map(Found::read).collect())
    }

    /// The record of this name as it is now; none where it is gone.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn find(&self, name: &str) -> Result<Option<Found>, Error> {
        Ok(self.records.find(name)?.map(Found::read))
    }

    /// What could not be removed, the longest known first: for people to see.
    ///
    /// # Errors
    /// When the records cannot be listed.
    pub fn failures(&self) -> Result<Vec<Record>, Error> {
        let records = self.list()?.into_iter().filter_map(|found| found.record);
        let mut failures: Vec<_> = records.filter(|record| record.failure.is_some()).collect();
        failures.sort_by_key(|record| record.since);
        Ok(failures)
    }

    /// Waits until nobody else recovers; none where the time is over first.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub(crate) async fn turn(&self, wait: Duration) -> Result<Option<Alone>, Error> {
        self.records.turn(wait).await
    }

    /// Removes half-written records of those who were killed, and tells how many.
    pub(crate) fn tidy(&self, _turn: &Alone) -> Result<usize, Error> {
        self.records.tidy()
    }

    /// Removes the record of a dead owner.
    pub(crate) fn forget(&self, name: &str, _turn: &Alone) -> Result<(), Error> {
        self.records.remove(name)
    }

    /// Notes that the resource of a dead owner could not be removed.
    pub(crate) fn note(
        &self,
        name: &str,
        record: &Record,
        reason: String,
        _turn: &Alone,
    ) -> Result<(), Error> {
        let record = record.clone().failed(reason, Timestamp::now());
        self.records.put(name, &encoded(&record))
    }
}

/// A record's bytes; serde_json fails on no type of ours.
fn encoded(record: &Record) -> Vec<u8> {
    serde_json::to_vec(record).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal() -> (tempfile::TempDir, Journal) {
        let place = tempfile::tempdir().unwrap();
        let journal = Journal::open_in(&place.path().join("state")).unwrap();
        (place, journal)
    }

    fn record() -> Record {
        let place = EngineAt::Docker { address: "unix:///x".into(), engine: "E".into() };
        Record::new(place, Owner::this().unwrap(), "docker run x")
    }

    fn only(journal: &Journal) -> (Step, bool) {
        let found = journal.list().unwrap().pop().unwrap();
        (found.record.unwrap().step, found.is_held)
    }

    #[test]
    fn the_journal_follows_a_life() {
        let (_place, journal) = journal();
        let entry = journal.intend(record()).unwrap();
        assert_eq!(only(&journal), (Step::Intended, true));
        let entry = entry.created("1".into());
        assert_eq!(only(&journal), (Step::Created("1".into()), true));
        let entry = entry.running();
        assert_eq!(only(&journal), (Step::Running("1".into()), true));
        let entry = entry.removing();
        assert_eq!(only(&journal), (Step::Removing(Some("1".into())), true));
        entry.gone().unwrap();
        assert_eq!(journal.list().unwrap(), []);
    }

    #[test]
    fn what_is_dropped_stays_and_is_nobodys() {
        let (_place, journal) = journal();
        drop(journal.intend(record()).unwrap().created("1".into()));
        assert_eq!(only(&journal), (Step::Created("1".into()), false));
    }

    #[test]
    fn what_is_handed_over_goes_with_the_job() {
        let (_place, journal) = journal();
        let entry = journal.intend(record()).unwrap().created("1".into()).running();
        let job = Owner::of(crate::store::job::process().unwrap());
        entry.hand_over(job.clone()).unwrap();
        let found = journal.list().unwrap().pop().unwrap();
        let record = found.record.unwrap();
        assert_eq!((&record.owner, record.is_job, found.is_held), (&job, true, false));
        assert_eq!(record.fate(found.is_held, Timestamp::now()), Fate::Stays);
    }

    #[test]
    fn what_could_not_be_looked_for_is_a_failure_too() {
        let (_place, journal) = journal();
        journal.intend(record()).unwrap().failed("no engine".into());
        assert_eq!(journal.failures().unwrap()[0].failure.as_ref().unwrap().reason, "no engine");
        assert_eq!(only(&journal), (Step::Removing(None), false));
    }

    #[tokio::test]
    async fn failures_are_kept_and_told() {
        let (_place, journal) = journal();
        journal.intend(record()).unwrap().created("1".into()).removing().failed("busy".into());
        let failures = journal.failures().unwrap();
        assert_eq!(failures[0].failure.as_ref().unwrap().reason, "busy");
        let turn = journal.turn(Duration::ZERO).await.unwrap().unwrap();
        let name = journal.list().unwrap()[0].name.clone();
        journal.note(&name, &failures[0], "still busy".into(), &turn).unwrap();
        let failure = journal.failures().unwrap()[0].failure.clone().unwrap();
        assert_eq!((failure.reason.as_str(), failure.times), ("still busy", 2));
    }
}
