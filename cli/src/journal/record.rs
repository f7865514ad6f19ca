//! What the journal says of one resource.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::owner::{Fate, Owner};
use crate::process;
use crate::store::{Identity, job};

/// The first wait after a deletion that failed; each further one is twice as long.
const FIRST_WAIT: SignedDuration = SignedDuration::from_secs(30);

/// No wait is longer.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(6);

/// One resource: what it is, how far it got, whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Where it is.
    pub place: EngineAt,
    /// What it is.
    #[serde(default)]
    pub what: What,
    /// How far it got, as far as is written.
    pub step: Step,
    /// With whom it goes.
    pub owner: Owner,
    /// Whether the owner is a CI job, which does not hold the record's lock.
    #[serde(default)]
    pub is_job: bool,
    /// Since when it was intended.
    pub since: Timestamp,
    /// What it is for, for people: the command, shortened.
    pub command: String,
    /// The CI job's name.
    pub job: Option<String>,
    /// Why it could not be removed, where that was tried.
    pub failure: Option<Failure>,
}

/// Whose resource it is: an engine's, by which name and at which address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineAt {
    /// A container of a Docker engine. It has the label `ci-build.run` with the record's name.
    Docker {
        /// The engine's address, such as `unix:///var/run/docker.sock`.
        address: String,
        /// What the engine calls itself.
        engine: String,
    },
    /// All that a container of a containerd is made of: a lease, a snapshot, the container, its task and its control group.
    /// Each is called by the record's name, and has it in the label `ci-build.run`. The id is the container's.
    Containerd {
        /// The path of its socket.
        address: String,
        /// What it calls itself.
        server: String,
        /// In which of its namespaces.
        namespace: String,
    },
}

impl EngineAt {
    /// Whether it is this machine's own, since its address is a socket of the file system.
    #[must_use]
    pub fn is_near(&self) -> bool {
        match self {
            Self::Docker { address, .. } => address.starts_with("unix://"),
            Self::Containerd { .. } => true,
        }
    }

    /// The store that it is of.
    #[must_use]
    pub fn store(&self) -> Identity {
        match self {
            Self::Docker { engine, .. } => Identity::Docker(engine.clone()),
            Self::Containerd { server, namespace, .. } => {
                Identity::Containerd { server: server.clone(), namespace: namespace.clone() }
            }
        }
    }
}

/// What a resource is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// A container, with the record's name as a label.
    #[default]
    Container,
    /// A name that an image has for a moment: that of the registry that a pull is to the engine.
    Name(String),
    /// A volume without a container, of this name, that could not be removed.
    Volume(String),
}

/// How far a resource got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// It is about to be made, and may be there already.
    Intended,
    /// It is there, under this id.
    Created(String),
    /// It runs.
    Running(String),
    /// It is being removed, and may be gone already.
    Removing(Option<String>),
}

/// A removal that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Why, in one line.
    pub reason: String,
    /// How often it was tried.
    pub times: u32,
    /// When it was tried last.
    pub last: Timestamp,
    /// Before this it is not tried again unless somebody asks for it.
    pub next: Timestamp,
}

impl Record {
    /// A resource that is about to be made.
    #[must_use]
    pub fn new(place: EngineAt, owner: Owner, command: &str) -> Self {
        Self {
            place,
            what: What::Container,
            step: Step::Intended,
            owner,
            is_job: false,
            since: Timestamp::now(),
            command: process::abbreviated(command),
            job: job::name(),
            failure: None,
        }
    }

    /// The same for a name of an image.
    #[must_use]
    pub fn of_name(self, name: &str) -> Self {
        Self { what: What::Name(name.into()), ..self }
    }

    /// The same for a volume.
    #[must_use]
    pub fn of_volume(self, name: &str) -> Self {
        Self { what: What::Volume(name.into()), ..self }
    }

    /// Whether its resource may go. `is_held` tells that the record is locked.
    #[must_use]
    pub fn fate(&self, is_held: bool, now: Timestamp) -> Fate {
        self.owner.fate(is_held, self.is_job, self.since, now)
    }

    /// The id that its engine knows it by, where that is written.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match &self.step {
            Step::Intended => None,
            Step::Created(id) | Step::Running(id) => Some(id),
            Step::Removing(id) => id.as_deref(),
        }
    }

    /// Whether it is not to be tried yet, after a removal that failed.
    #[must_use]
    pub fn waits(&self, now: Timestamp) -> bool {
        self.failure.as_ref().is_some_and(|failure| now < failure.next)
    }

    /// The record after a removal that failed.
    #[must_use]
    pub fn failed(self, reason: String, now: Timestamp) -> Self {
        let times = self.failure.as_ref().map_or(0, |failure| failure.times).saturating_add(1);
        let next = now + wait(times);
        let step = Step::Removing(self.id().map(Into::into));
        Self { step, failure: Some(Failure { reason, times, last: now, next }), ..self }
    }
}

/// How long after so many failures it is tried again.
fn wait(times: u32) -> SignedDuration {
    let doubled =
        2_i32.checked_pow(times.saturating_sub(1)).and_then(|factor| FIRST_WAIT.checked_mul(factor));
    doubled.unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT)
}

impl Failure {
    /// How long until it is tried again unasked.
    #[must_use]
    pub fn rest(&self, now: Timestamp) -> Duration {
        self.next.duration_since(now).try_into().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_reached_by_the_network_may_serve_other_machines() {
        let docker = |address: &str| EngineAt::Docker { address: address.into(), engine: "E".into() };
        assert!(docker("unix:///var/run/docker.sock").is_near());
        assert!(!docker("tcp://127.0.0.1:2375").is_near());
    }

    #[test]
    fn a_removal_that_fails_is_tried_less_and_less_often() {
        let minutes = [1, 2, 3, 10, 11, 40, u32::MAX].map(|times| wait(times).as_secs() / 30);
        assert_eq!(minutes, [1, 2, 4, 512, 720, 720, 720]);
        let place = EngineAt::Docker { address: "unix:///x".into(), engine: "E".into() };
        let record = Record::new(place, Owner::this().unwrap(), "docker run\nx");
        assert_eq!(record.command, "docker run x");
        let now = Timestamp::now();
        let record = record.failed("busy".into(), now);
        assert!(record.waits(now) && !record.waits(now + FIRST_WAIT));
        let record = record.failed("busy".into(), now);
        assert!(record.waits(now + FIRST_WAIT));
        assert_eq!(record.failure.unwrap().times, 2);
    }
}
