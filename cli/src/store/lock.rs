//! The lock of a store: many who share it, or one alone (docs/locks.md).
//!
//! Two files, both locked by flock. Everybody goes through the *gate*, one by one, and takes the *lock* behind
//! it; then the gate is free for the next. A writer who waits inside the gate lets nobody in before it.

use std::time::Instant;

use super::Store;
use super::error::Error;
use super::flock::Locked;
use super::holders::{self, Entry, Mode, Record, Role};
use super::owner::Process;
use super::wait::{self, Files, Patience};
use crate::process::proc;
use crate::telemetry;

/// The store is not changed by a writer while this lives.
#[derive(Debug)]
pub struct SharedGuard<'a>(Held<'a>);

/// The store is this process's alone while this lives. What only a writer may do takes this guard.
#[derive(Debug)]
pub struct ExclusiveGuard<'a>(Held<'a>);

/// A lock, whichever it is.
#[derive(Debug)]
pub(super) struct Held<'a> {
    // It goes first: nobody is to read that we hold the lock when we do not.
    entry: Option<Entry<'a>>,
    /// None where a command that we are part of has it.
    lock: Option<Locked>,
}

/// What is said while a lock is waited for.
#[derive(Debug, Clone, Copy)]
pub enum Notice<'a> {
    /// It takes more than a moment. Who holds the lock, in one line.
    Waits(&'a str),
    /// The lock is had after such a wait.
    Has,
    /// There is no room on the disk to write down that we hold it.
    Unrecorded,
}

impl Store {
    /// Takes the lock with others who share it. `command` is what is shown to those who wait.
    ///
    /// # Errors
    /// When the time is over, or the state directory does not play along.
    pub fn share(
        &self,
        command: &str,
        patience: Patience,
        tell: impl FnMut(Notice),
    ) -> Result<SharedGuard<'_>, Error> {
        self.acquire(Mode::Shared, command, patience, tell).map(SharedGuard)
    }

    /// Takes the lock alone. `command` is what is shown to those who wait.
    ///
    /// # Errors
    /// When the time is over, a command that we are part of shares the lock, or the state directory does not
    /// play along.
    pub fn exclude(
        &self,
        command: &str,
        patience: Patience,
        tell: impl FnMut(Notice),
    ) -> Result<ExclusiveGuard<'_>, Error> {
        self.acquire(Mode::Exclusive, command, patience, tell).map(ExclusiveGuard)
    }

    fn acquire(
        &self,
        mode: Mode,
        command: &str,
        patience: Patience,
        tell: impl FnMut(Notice),
    ) -> Result<Held<'_>, Error> {
        let (store, outcome) = (self.identity(), tracing::field::Empty);
        let span = tracing::info_span!(telemetry::LOCK, %store, mode = mode.word(), outcome);
        let granted = span.in_scope(|| self.request(mode, command, patience, tell));
        let outcome = match &granted {
            Ok((_, outcome)) => outcome,
            Err(Error::GaveUp { .. }) => "gave-up",
            Err(_) => "failed",
        };
        span.record("outcome", outcome);
        granted.map(|(held, _)| held)
    }

    /// The lock, and in one word how it was had.
    fn request(
        &self,
        mode: Mode,
        command: &str,
        patience: Patience,
        mut tell: impl FnMut(Notice),
    ) -> Result<(Held<'_>, &'static str), Error> {
        let record = |role| Record::new(self.identity(), role, mode, command);
        let (lock, outcome) = match self.try_acquire(mode, patience)? {
            Attempt::Had(lock) => (lock, "had"),
            Attempt::Blocked(files) => {
                let records = self.records()?;
                match outer(&records) {
                    Some(outer) if outer.mode == Mode::Exclusive || mode == Mode::Shared => {
                        return Ok((Held { entry: None, lock: None }, "nested"));
                    }
                    Some(outer) => {
                        let (store, holder) = (self.identity().clone(), outer.to_string());
                        return Err(Error::Upgrade { store, holder });
                    }
                    None => {}
                }
                let waiter = self.enter(&record(Role::Waits), &mut tell)?;
                let lock = self.wait(files, patience, &mut tell)?;
                drop(waiter);
                (lock, "waited")
            }
        };
        let entry = self.enter(&record(Role::Holds), &mut tell)?;
        Ok((Held { entry, lock: Some(lock) }, outcome))
    }

    /// Takes what is free, and keeps the gate where only the lock is not.
    fn try_acquire(&self, mode: Mode, patience: Patience) -> Result<Attempt, Error> {
        let refused = |source| Error::refused("lock", self.path(), source);
        let [gate, lock] = ["gate", "lock"].map(|name| self.lock_file(name));
        let (gate, lock) = (gate?, lock?);
        let is_polite = mode == Mode::Exclusive && !patience.polite.is_zero();
        let gate =
            if is_polite { Err(gate) } else { Locked::at_once(gate, Mode::Exclusive).map_err(refused)? };
        let lock = if gate.is_ok() || is_polite {
            match Locked::at_once(lock, mode).map_err(refused)? {
                Ok(had) => return Ok(Attempt::Had(had)),
                Err(lock) => lock,
            }
        } else {
            lock
        };
        Ok(Attempt::Blocked(Files { gate, lock, mode }))
    }

    fn wait(&self, files: Files, patience: Patience, tell: &mut impl FnMut(Notice)) -> Result<Locked, Error> {
        let started = Instant::now();
        let holders = || self.records().map(|records| holders::describe(&records));
        let mut has_told = false;
        let waited = wait::wait(files, patience, || {
            has_told = true;
            tell(Notice::Waits(&holders().unwrap_or_default()));
        });
        let lock = waited.map_err(|source| Error::refused("lock", self.path(), source))?;
        let Some(lock) = lock else {
            let (store, waited) = (self.identity().clone(), started.elapsed());
            return Err(Error::GaveUp { store, waited, holders: holders()? });
        };
        if has_told {
            tell(Notice::Has);
        }
        Ok(lock)
    }

    /// Writes a record. A full disk is no reason not to go on: the lock itself needs no room.
    fn enter(&self, record: &Record, tell: &mut impl FnMut(Notice)) -> Result<Option<Entry<'_>>, Error> {
        match Entry::write(self.holders(), record) {
            Ok(entry) => Ok(Some(entry)),
            Err(error) if error.is_full_disk() => {
                if record.role == Role::Holds {
                    tell(Notice::Unrecorded);
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

enum Attempt {
    Had(Locked),
    Blocked(Files),
}

/// The record of a command that we are part of: one of our parents holds the lock, and will hold it for as
/// long as it waits for us. Exclusive ones first.
///
/// A record counts only if the process that it names belongs to the user who wrote it: who shares the directory with us
/// could else write down a parent of ours, and have us go on without the lock.
fn outer(records: &[Record]) -> Option<&Record> {
    let us = Process::this()?;
    let parents: Vec<u32> = proc::ancestors(us.pid).collect();
    let is_ours = |record: &&Record| {
        record.role == Role::Holds
            && record.process.as_ref().is_some_and(|holder| {
                parents.contains(&holder.pid)
                    && Process::of(holder.pid).as_ref() == Some(holder)
                    && proc::user(holder.pid) == Some(record.user)
            })
    };
    let mut ours = records.iter().filter(is_ours);
    let first = ours.next()?;
    Some(std::iter::once(first).chain(ours).find(|record| record.mode == Mode::Exclusive).unwrap_or(first))
}

impl Held<'_> {
    /// Lets the commands that we start from now on hold the lock too: it stays locked until the last of them
    /// and we are gone, or until we let go of it.
    fn pass_on(&self) -> Result<(), Error> {
        let both = [self.lock.as_ref(), self.entry.as_ref().map(Entry::locked)];
        both.into_iter().flatten().try_for_each(|locked| {
            locked.pass_on().map_err(|source| Error::refused("pass on", "the lock", source))
        })
    }
}

/// Either guard.
pub trait Guard {
    /// Lets the commands that are started from now on hold the lock too, so that it outlives a violent end of
    /// this process. When the guard goes, so does the lock, for all of them.
    ///
    /// # Errors
    /// When the operating system refuses.
    fn pass_on(&self) -> Result<(), Error>;
}

impl Guard for SharedGuard<'_> {
    fn pass_on(&self) -> Result<(), Error> {
        self.0.pass_on()
    }
}

impl Guard for ExclusiveGuard<'_> {
    fn pass_on(&self) -> Result<(), Error> {
        self.0.pass_on()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Identity;

    #[test]
    fn only_a_true_record_of_a_parent_is_ours() {
        let parent = proc::ancestors(std::process::id()).next().unwrap();
        let record = Record {
            process: Process::of(parent),
            user: proc::user(parent).unwrap(),
            ..Record::new(&Identity::Named("x".into()), Role::Holds, Mode::Exclusive, "make")
        };
        let process = record.process.clone().unwrap();
        let is_ours = |record: &Record| outer(std::slice::from_ref(record)).is_some();
        assert!(is_ours(&record));
        assert!(!is_ours(&Record { role: Role::Waits, ..record.clone() }));
        assert!(!is_ours(&Record { user: record.user + 1, ..record.clone() }), "another user wrote it");
        let named = |process| Record { process: Some(process), ..record.clone() };
        assert!(
            !is_ours(&named(Process { start: process.start + 1, ..process.clone() })),
            "the pid was given anew"
        );
        assert!(!is_ours(&named(Process { boot: "another".into(), ..process.clone() })));
        assert!(!is_ours(&named(Process { namespace: "pid:[1]".into(), ..process })));
        assert!(!is_ours(&named(Process::this().unwrap())), "no parent");

        let shared = Record { mode: Mode::Shared, ..record.clone() };
        assert_eq!(outer(&[shared, record.clone()]), Some(&record), "the exclusive one says more");
    }
}
