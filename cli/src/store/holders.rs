//! Who holds a lock and who waits for it, for everybody to read.
//!
//! A record is a file that its owner keeps locked. So whether it is stale is asked of the kernel, which knows
//! of every death and every reboot, also across the pid namespaces of containers. What a record says is never
//! trusted for the lock itself.

use std::fmt;
use std::fs::File;

use jiff::Timestamp;
use rustix::fs::fstat;
use serde::{Deserialize, Serialize};

use super::directory::{self, Directory};
use super::error::Error;
use super::flock::Locked;
use super::identity::Identity;
use super::job;
use super::owner::Process;
use crate::lapse::shown;
use crate::process;

/// How a store is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// With others who share it.
    Shared,
    /// Alone.
    Exclusive,
}

impl Mode {
    /// In one word, for scripts and logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Exclusive => "exclusive",
        }
    }
}

/// Whether the lock is had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It has the lock.
    Holds,
    /// It waits for it.
    Waits,
}

/// Who holds or waits, which command, since when, for which job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The store's name or engine.
    pub store: String,
    /// Whether it has the lock.
    pub role: Role,
    /// How.
    pub mode: Mode,
    /// Since when it is so.
    pub since: Timestamp,
    /// The process; none where the kernel does not tell.
    pub process: Option<Process>,
    /// The user's number: whom the record's file belongs to, whatever is written in it.
    pub user: u32,
    /// The command, shortened.
    pub command: String,
    /// The CI job.
    pub job: Option<String>,
}

impl Record {
    pub(super) fn new(store: &Identity, role: Role, mode: Mode, command: &str) -> Self {
        Self {
            store: store.to_string(),
            role,
            mode,
            since: Timestamp::now(),
            process: Process::this(),
            user: rustix::process::geteuid().as_raw(),
            command: process::abbreviated(command),
            job: job::name(),
        }
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.command)?;
        if let Some(process) = &self.process {
            write!(f, ", pid {}", process.pid)?;
        }
        if let Some(job) = &self.job {
            write!(f, ", {job}")?;
        }
        let age = Timestamp::now().duration_since(self.since);
        write!(f, ", for {}", shown(age.try_into().unwrap_or_default()))
    }
}

/// A record of ours, which ends with this value.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    directory: &'a Directory,
    name: String,
    locked: Locked,
}

impl<'a> Entry<'a> {
    pub(super) fn write(directory: &'a Directory, record: &Record) -> Result<Self, Error> {
        let bytes = serde_json::to_vec(record).unwrap_or_default();
        let (name, locked) = directory.add(&bytes, Locked::new)?;
        Ok(Self { directory, name, locked })
    }

    /// What says that the record is true.
    pub(super) fn locked(&self) -> &Locked {
        &self.locked
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        // What cannot be removed is stale from now on, and goes with the next look.
        let _ = self.directory.remove(&self.name);
    }
}

/// All records that are true now, the oldest first; stale ones are removed.
pub(super) fn read(directory: &Directory) -> Result<Vec<Record>, Error> {
    let mut records = Vec::new();
    for name in directory.names()? {
        // Gone meanwhile, or nothing of ours.
        let Ok(file) = directory.open_record(&name) else { continue };
        match Locked::at_once(file, Mode::Shared) {
            Ok(Err(held)) => records.extend(parse(&held)),
            // Nobody vouches for it. Whoever may not remove it reads on.
            Ok(Ok(_)) => drop(directory.remove(&name)),
            Err(_) => {}
        }
    }
    records.sort_by_key(|record| record.since);
    Ok(records)
}

fn parse(file: &File) -> Option<Record> {
    let user = fstat(file).ok()?.st_uid;
    let record: Record = serde_json::from_str(&directory::read_record(file)?).ok()?;
    Some(Record { user, ..record })
}

/// Who holds, in one line.
pub(super) fn describe(records: &[Record]) -> String {
    let holders: Vec<&Record> = records.iter().filter(|record| record.role == Role::Holds).collect();
    match holders[..] {
        [] => "held by a process that left no record".into(),
        [one] => format!("held by {one}"),
        [one, ..] => format!("held by {one}, and {} more", holders.len() - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_vouches_for_is_stale_whatever_it_says() {
        let state = tempfile::tempdir().unwrap();
        let directory = Directory::state(&state.path().join("state")).unwrap();
        // A process that is alive, as after a crash of ours whose pid was given anew.
        let record = Record::new(&Identity::Named("x".into()), Role::Holds, Mode::Exclusive, "make");
        std::fs::write(directory.path().join("0123456789abcdef"), serde_json::to_vec(&record).unwrap())
            .unwrap();
        assert_eq!(read(&directory).unwrap(), []);
        assert_eq!(directory.names().unwrap(), [""; 0]);

        let lie = Record { user: 4711, ..record.clone() };
        let entry = Entry::write(&directory, &lie).unwrap();
        assert_eq!(read(&directory).unwrap(), [record], "the user is whom the file belongs to");
        drop(entry);
        assert_eq!(read(&directory).unwrap(), []);
    }

    #[test]
    fn what_is_no_record_is_left_alone() {
        let state = tempfile::tempdir().unwrap();
        let directory = Directory::state(&state.path().join("state")).unwrap();
        for text in ["", "{}", "[1]", "\0"] {
            let _held = directory.add(text.as_bytes(), Locked::new).unwrap();
            assert_eq!(read(&directory).unwrap(), [], "{text:?}");
        }
    }
}
