//! Leases: images that a job still needs between its steps. A lease ends with its owner or its time.

use std::fs::File;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::directory::{self, Directory};
use super::error::Error;
use super::flock::Locked;
use super::owner::{Liveness, Process, UNSEEN};
use super::{Identity, Mode, Store, job, wait};

/// What a lease lives by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Term {
    /// It ends with this process.
    Owner(Process),
    /// It ends at this time.
    Until(Timestamp),
}

/// One image that is needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The store's name or engine.
    pub store: String,
    /// The image as it was called.
    pub image: String,
    /// Its id in the engine; empty for an image that the job is about to pull or to build.
    pub id: String,
    /// Since when it is needed.
    pub since: Timestamp,
    /// For how long.
    pub term: Term,
    /// The user's number.
    pub user: u32,
    /// The CI job.
    pub job: Option<String>,
}

impl Lease {
    /// A lease from now on.
    pub fn new(store: &Identity, image: String, id: String, term: Term) -> Self {
        let user = rustix::process::getuid().as_raw();
        Self { store: store.to_string(), image, id, since: Timestamp::now(), term, user, job: job::name() }
    }

    /// Whether it holds at this time, where its owner is as told.
    fn holds(&self, now: Timestamp, liveness: impl FnOnce(&Process) -> Liveness) -> bool {
        match &self.term {
            Term::Until(end) => now < *end,
            Term::Owner(owner) => match liveness(owner) {
                Liveness::Alive => true,
                Liveness::Gone => false,
                Liveness::OutOfSight => now.duration_since(self.since) < UNSEEN,
            },
        }
    }
}

/// Whose leases are ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// Those of one job: of its processes, or with a time and of its name and user.
    Job {
        /// The processes.
        processes: Vec<Process>,
        /// The job's name, where it has one.
        name: Option<String>,
        /// The user's number.
        user: u32,
    },
    /// Everybody's.
    All,
}

impl Whose {
    /// Those of the job that this process belongs to.
    pub fn ours() -> Self {
        let user = rustix::process::getuid().as_raw();
        Self::Job { processes: job::processes(), name: job::name(), user }
    }

    fn has(&self, lease: &Lease) -> bool {
        match (self, &lease.term) {
            (Self::All, _) => true,
            (Self::Job { processes, .. }, Term::Owner(owner)) => processes.contains(owner),
            (Self::Job { name, user, .. }, Term::Until(_)) => *name == lease.job && *user == lease.user,
        }
    }
}

/// What became of an image's leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    /// So many were ended.
    pub ended: usize,
    /// So many are others' and hold on.
    pub kept: usize,
}

/// The leases of a store.
#[derive(Debug)]
pub struct Leases {
    directory: Directory,
}

impl Store {
    /// The store's leases.
    ///
    /// # Errors
    /// When their directory cannot be had.
    pub fn leases(&self) -> Result<Leases, Error> {
        Leases::of(&self.directory)
    }
}

impl Leases {
    pub(super) fn of(store: &Directory) -> Result<Self, Error> {
        Ok(Self::in_directory(store.directory("leases")?))
    }

    pub(super) fn in_directory(directory: Directory) -> Self {
        Self { directory }
    }

    /// What [`Quiet`] locks.
    pub(super) fn quiet_file(&self) -> Result<File, Error> {
        self.directory.lock_file(".lock")
    }

    /// Adds a lease, on the disk when this returns.
    ///
    /// # Errors
    /// When it cannot be written; then there is no lease.
    pub fn add(&self, lease: &Lease) -> Result<(), Error> {
        let bytes = serde_json::to_vec(lease).unwrap_or_default();
        let (_, file) = self.directory.add(&bytes, Ok)?;
        self.directory.sync(&file)
    }

    /// Adds a lease that ends with this value. It need not outlive a crash of the machine, since its owner does not.
    ///
    /// # Errors
    /// When it cannot be written; then there is no lease.
    pub fn hold(&self, lease: &Lease) -> Result<HeldLease<'_>, Error> {
        let bytes = serde_json::to_vec(lease).unwrap_or_default();
        let (name, _) = self.directory.add(&bytes, Ok)?;
        Ok(HeldLease { leases: self, name })
    }

    /// Removes what has ended, and tells how many leases that were.
    pub(super) fn tidy(&self) -> Result<usize, Error> {
        let before = self.directory.names()?.len();
        self.read()?;
        Ok(before.saturating_sub(self.directory.names()?.len()))
    }

    /// What is needed now, the oldest first. What has ended is removed.
    ///
    /// # Errors
    /// When the leases cannot be listed.
    pub fn list(&self) -> Result<Vec<Lease>, Error> {
        let mut leases: Vec<_> = self.read()?.into_iter().map(|(_, lease)| lease).collect();
        leases.sort_by_key(|lease| lease.since);
        Ok(leases)
    }

    /// Ends leases of this image, by its name or its id.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub fn remove(&self, image: &str, whose: &Whose) -> Result<Removed, Error> {
        let mut removed = Removed { ended: 0, kept: 0 };
        for (name, lease) in self.read()? {
            if lease.image != image && lease.id != image {
                continue;
            }
            if whose.has(&lease) {
                self.directory.remove(&name)?;
                removed.ended += 1;
            } else {
                removed.kept += 1;
            }
        }
        Ok(removed)
    }

    fn read(&self) -> Result<Vec<(String, Lease)>, Error> {
        let (now, mut leases) = (Timestamp::now(), Vec::new());
        for name in self.directory.names()? {
            let Ok(file) = self.directory.open_record(&name) else { continue };
            let text = directory::read_record(&file);
            let Some(lease) = text.and_then(|text| serde_json::from_str::<Lease>(&text).ok()) else {
                continue;
            };
            if lease.holds(now, Process::liveness) {
                leases.push((name, lease));
            } else {
                // Whoever may not remove it leaves it to those who may.
                let _ = self.directory.remove(&name);
            }
        }
        Ok(leases)
    }
}

/// A lease that ends with this value.
#[derive(Debug)]
pub struct HeldLease<'a> {
    leases: &'a Leases,
    name: String,
}

impl Drop for HeldLease<'_> {
    fn drop(&mut self) {
        // What cannot be removed ends with its owner, and goes with the next look.
        let _ = self.leases.directory.remove(&self.name);
    }
}

/// While this lives no lease is added, and no image that a lease is about to be for is deleted. Whoever deletes
/// an image looks at the leases and deletes it under [`Quiet::for_deletion`]; whoever adds a lease looks for the
/// image and adds it under [`Quiet::for_addition`].
#[derive(Debug)]
pub struct Quiet {
    _locked: Locked,
}

impl Quiet {
    /// How long to wait where nobody says: what is waited for is the deletion of one image, which takes seconds.
    pub const PATIENCE: Duration = Duration::from_secs(60);

    /// Keeps deletions away. What is waited for is one deletion.
    ///
    /// # Errors
    /// When the time is over, or the lock file cannot be had.
    pub async fn for_addition(leases: &Leases, wait: Duration) -> Result<Self, Error> {
        Self::new(leases, Mode::Shared, wait).await
    }

    /// Keeps new leases away. It is to be held for one deletion, and no longer.
    ///
    /// # Errors
    /// When the time is over, or the lock file cannot be had.
    pub async fn for_deletion(leases: &Leases, wait: Duration) -> Result<Self, Error> {
        Self::new(leases, Mode::Exclusive, wait).await
    }

    async fn new(leases: &Leases, mode: Mode, wait: Duration) -> Result<Self, Error> {
        let file = leases.quiet_file()?;
        let locked = wait::meanwhile(file, mode, wait.max(wait::LEAST), || ()).await;
        let locked = locked.map_err(|source| Error::refused("lock", leases.directory.path(), source))?;
        locked.map(|locked| Self { _locked: locked }).ok_or(Error::Unquiet { waited: wait })
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn a_lease_ends_with_its_owner_or_its_time() {
        let store = Identity::Named("x".into());
        let lease = |term| Lease::new(&store, "a".into(), "sha256:1".into(), term);
        let now = Timestamp::now();
        let timed = lease(Term::Until(now + SignedDuration::from_secs(60)));
        let unasked = |_: &Process| panic!("a time needs no owner");
        assert!(timed.holds(now, unasked));
        assert!(!timed.holds(now + SignedDuration::from_secs(60), unasked));

        let owned = lease(Term::Owner(Process::this().unwrap()));
        assert!(owned.holds(now + SignedDuration::from_hours(1000), |_| Liveness::Alive));
        assert!(!owned.holds(now, |_| Liveness::Gone));
        assert!(owned.holds(now + SignedDuration::from_hours(23), |_| Liveness::OutOfSight));
        assert!(!owned.holds(now + SignedDuration::from_hours(25), |_| Liveness::OutOfSight));
    }

    #[test]
    fn leases_are_added_listed_and_removed() {
        let state = tempfile::tempdir().unwrap();
        let identity = Identity::Named("x".into());
        let leases = Store::open_in(&state.path().join("state"), identity.clone()).unwrap().leases().unwrap();
        let add = |image: &str, term| {
            leases.add(&Lease::new(&identity, image.into(), format!("id-{image}"), term)).unwrap();
        };
        let now = Timestamp::now();
        let mut child =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        add("ended", Term::Until(now));
        add("timed", Term::Until(now + SignedDuration::from_hours(1)));
        add("owned", Term::Owner(Process::of(child.id()).unwrap()));
        let images = || leases.list().unwrap().into_iter().map(|lease| lease.image).collect::<Vec<_>>();
        assert_eq!(images(), ["timed", "owned"]);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(images(), ["timed"]);
        assert_eq!(leases.remove("id-timed", &Whose::ours()).unwrap(), Removed { ended: 1, kept: 0 });
        assert_eq!(leases.remove("id-timed", &Whose::ours()).unwrap(), Removed { ended: 0, kept: 0 });
        assert_eq!(images(), [""; 0]);
    }

    #[test]
    fn a_job_ends_its_own_leases_and_no_others() {
        let state = tempfile::tempdir().unwrap();
        let identity = Identity::Named("x".into());
        let leases = Store::open_in(&state.path().join("state"), identity.clone()).unwrap().leases().unwrap();
        let us = Process::this().unwrap();
        let mut child =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let other = Process::of(child.id()).unwrap();
        let until = Term::Until(Timestamp::now() + SignedDuration::from_hours(1));
        let of = |term: Term, job: Option<&str>, user| {
            let lease = Lease::new(&identity, "a".into(), "id-a".into(), term);
            Lease { job: job.map(Into::into), user, ..lease }
        };
        let ours = [of(Term::Owner(us.clone()), None, 7), of(until.clone(), Some("GitLab 1"), 7)];
        let others = [
            of(Term::Owner(other), Some("GitLab 1"), 7),
            of(until.clone(), Some("GitLab 2"), 7),
            of(until.clone(), None, 7),
            of(until, Some("GitLab 1"), 8),
        ];
        ours.iter().chain(&others).for_each(|lease| leases.add(lease).unwrap());
        let job = Whose::Job { processes: vec![us], name: Some("GitLab 1".into()), user: 7 };
        assert_eq!(leases.remove("a", &job).unwrap(), Removed { ended: 2, kept: 4 });
        assert_eq!(leases.remove("a", &job).unwrap(), Removed { ended: 0, kept: 4 });
        assert_eq!(leases.remove("a", &Whose::All).unwrap(), Removed { ended: 4, kept: 0 });
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
