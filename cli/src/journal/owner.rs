//! Who owns what was made, as it stands in a record and in a label of the thing itself.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::image::Digest;
use crate::store::{Liveness, Process, UNSEEN};

/// A process, and the machine that it runs on: an engine may serve several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The process.
    pub process: Process,
    /// A digest of the machine's id (`/etc/machine-id`), where it has one.
    pub machine: Option<String>,
}

/// Whether what an owner made may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The owner lives: it stays.
    Stays,
    /// The owner is dead: it goes.
    Goes,
    /// Nobody here can tell: it stays, and is told of.
    Unknown,
}

/// Text that is no owner's.
#[derive(Debug, thiserror::Error)]
#[error("not an owner's label")]
pub struct NoOwner;

impl Owner {
    /// This process.
    #[must_use]
    pub fn this() -> Option<Self> {
        Process::this().map(Self::of)
    }

    /// A process of this machine.
    #[must_use]
    pub fn of(process: Process) -> Self {
        Self { process, machine: machine() }
    }

    /// What becomes of a thing that a record of this host's says is this owner's. `is_held` tells that the record is
    /// locked, which only a live owner does; `is_job` that its owner never locked it.
    pub(super) fn fate(&self, is_held: bool, is_job: bool, since: Timestamp, now: Timestamp) -> Fate {
        match self.process.liveness() {
            _ if is_held => Fate::Stays,
            Liveness::Alive => Fate::Stays,
            Liveness::Gone => Fate::Goes,
            Liveness::OutOfSight if !is_job || now.duration_since(since) >= UNSEEN => Fate::Goes,
            Liveness::OutOfSight => Fate::Stays,
        }
    }

    /// What becomes of a thing that only its own label says is this owner's. The boot of another machine is no boot that has
    /// ended. A machine's id may be another's too, of one made from the same image: only where the engine `is_near`
    /// ([`EngineAt::is_near`](super::EngineAt::is_near)), so that no other machine uses it, does it tell.
    #[must_use]
    pub fn fate_by_label(&self, is_near: bool) -> Fate {
        self.fate_on(Process::this().as_ref(), machine().filter(|_| is_near).as_deref())
    }

    fn fate_on(&self, us: Option<&Process>, machine: Option<&str>) -> Fate {
        let Some(us) = us else { return Fate::Unknown };
        let is_this_machine = self.machine.is_some() && self.machine.as_deref() == machine;
        if self.process.boot != us.boot && !is_this_machine {
            return Fate::Unknown;
        }
        match self.process.liveness() {
            Liveness::Alive => Fate::Stays,
            Liveness::Gone => Fate::Goes,
            Liveness::OutOfSight => Fate::Unknown,
        }
    }
}

/// The machine's id is nobody else's business, a digest of it tells machines apart (machine-id(5)).
fn machine() -> Option<String> {
    let id = std::fs::read_to_string("/etc/machine-id").ok().filter(|id| !id.trim().is_empty())?;
    Some(Digest::of(format!("ci-build {}", id.trim()).as_bytes()).hex()[..16].to_owned())
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Process { boot, namespace, pid, start } = &self.process;
        write!(f, "{boot}/{namespace}/{pid}/{start}/{}", self.machine.as_deref().unwrap_or("-"))
    }
}

impl FromStr for Owner {
    type Err = NoOwner;

    fn from_str(text: &str) -> Result<Self, NoOwner> {
        let parts: Vec<&str> = text.split('/').collect();
        let [boot, namespace, pid, start, machine] = parts[..] else { return Err(NoOwner) };
        let process = Process {
            boot: boot.into(),
            namespace: namespace.into(),
            pid: pid.parse().map_err(|_| NoOwner)?,
            start: start.parse().map_err(|_| NoOwner)?,
        };
        Ok(Self { process, machine: Some(machine).filter(|machine| *machine != "-").map(Into::into) })
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn ended() -> Process {
        let mut child =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let process = Process::of(child.id()).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        process
    }

    #[test]
    fn a_label_says_all_of_an_owner() {
        let us = Owner::this().unwrap();
        assert_eq!(us.to_string().parse::<Owner>().unwrap(), us);
        let nowhere = Owner { machine: None, ..us };
        assert_eq!(nowhere.to_string().parse::<Owner>().unwrap(), nowhere);
        assert!("a/b/c".parse::<Owner>().is_err());
        assert!("a/b/c/d/e".parse::<Owner>().is_err());
    }

    #[test]
    fn another_machines_owner_is_not_ours_to_judge() {
        let us = Process::this().unwrap();
        let of = |process: &Process, machine: Option<&str>| Owner {
            process: process.clone(),
            machine: machine.map(Into::into),
        };
        let here = |owner: &Owner| owner.fate_on(Some(&us), Some("here"));
        let (ended, elsewhen) = (ended(), Process { boot: "another".into(), ..us.clone() });
        assert_eq!(here(&of(&us, Some("here"))), Fate::Stays);
        assert_eq!(here(&of(&ended, Some("here"))), Fate::Goes);
        assert_eq!(here(&of(&ended, None)), Fate::Goes, "the boot is ours");
        assert_eq!(here(&of(&elsewhen, Some("here"))), Fate::Goes, "this machine was started anew");
        assert_eq!(here(&of(&elsewhen, Some("there"))), Fate::Unknown);
        assert_eq!(here(&of(&elsewhen, None)), Fate::Unknown);
        let contained = Process { namespace: "pid:[1]".into(), ..us.clone() };
        assert_eq!(here(&of(&contained, Some("here"))), Fate::Unknown);
        assert_eq!(of(&elsewhen, None).fate_on(Some(&us), None), Fate::Unknown, "no id is no machine");
        let before = Owner { process: elsewhen, machine: machine() };
        assert_eq!(before.fate_by_label(false), Fate::Unknown, "two machines may have one id");
        assert_eq!(Owner::of(ended).fate_by_label(false), Fate::Goes, "the boot is ours");
    }

    #[test]
    fn a_records_lock_speaks_for_owners_out_of_sight() {
        let us = Owner::this().unwrap();
        let contained =
            Owner { process: Process { namespace: "pid:[1]".into(), ..us.process.clone() }, ..us.clone() };
        let now = Timestamp::now();
        let fate = |owner: &Owner, is_held, is_job, hours| {
            owner.fate(is_held, is_job, now - SignedDuration::from_hours(hours), now)
        };
        assert_eq!(fate(&contained, true, false, 0), Fate::Stays);
        assert_eq!(fate(&contained, false, false, 0), Fate::Goes);
        assert_eq!(fate(&contained, false, true, 23), Fate::Stays);
        assert_eq!(fate(&contained, false, true, 24), Fate::Goes);
        assert_eq!(fate(&us, false, false, 0), Fate::Stays, "it lives, whatever the lock says");
        assert_eq!(fate(&Owner::of(ended()), false, true, 0), Fate::Goes);
    }
}
