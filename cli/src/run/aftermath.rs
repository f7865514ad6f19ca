//! What a `docker run` leaves that has ended: its container goes, or runs on and is the job's.

use std::time::Duration;

use crate::engine::{self, Deletion, Engine, OwnedContainer};
use crate::error::with_cause;
use crate::failpoint;
use crate::journal::{Entry, Intended, Owner, RUN_LABEL, Removing};
use crate::process::Ended;
use crate::process::survivors::Inmates;
use crate::store::{Error, job};

/// What a docker ends with that was killed; so does one whose container had to be killed.
const KILLED: u8 = 137;

/// What there is to tell. None of it fails the run: the container's own end is what counts.
#[derive(Debug)]
pub(crate) enum Notice {
    /// It cannot be the job's, and ends now.
    NotHandedOver(Error),
    /// The engine was asked to end it, and did not.
    NotEnded(engine::Error),
    /// So many of its processes had outlived their shim, and are ended.
    Survived(usize),
    /// Why it could not be removed. Recovery tries again.
    Left(String),
}

/// docker has ended; what did it leave?
pub(crate) struct Aftermath<'a> {
    pub(crate) engine: &'a Engine,
    /// How docker ended.
    pub(crate) ended: Ended,
    /// How long a container that still runs may take to end, before it is killed.
    pub(crate) grace: Duration,
    pub(crate) tell: &'a dyn Fn(Notice),
}

impl Aftermath<'_> {
    /// Removes the container, or hands it over to the job where it is to run on.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub(crate) async fn settle(&self, entry: Entry<'_, Intended>) -> Result<(), Error> {
        let found = self.container(entry.name()).await;
        failpoint::reach("run.found");
        match found {
            Err(error) => {
                let reason = with_cause(&error);
                (self.tell)(Notice::Left(reason.clone()));
                entry.failed(reason);
                Ok(())
            }
            Ok(None) => {
                self.kill_survivors(&entry).await;
                entry.never_made()
            }
            Ok(Some((container, true))) => self.running(entry, &container.id).await,
            Ok(Some((container, false))) => {
                self.remove(entry.created(container.id.clone()).removing(), &container.id).await
            }
        }
    }

    /// The container of this run, and whether it runs.
    async fn container(&self, run: &str) -> Result<Option<(OwnedContainer, bool)>, engine::Error> {
        let found = self.engine.labelled(RUN_LABEL, Some(run)).await?;
        let Some(container) = found.into_iter().next() else { return Ok(None) };
        let runs = self.engine.runs(&container.id).await?;
        Ok(Some((container, runs)))
    }

    async fn running(&self, entry: Entry<'_, Intended>, id: &str) -> Result<(), Error> {
        let Ended { code, stopped } = self.ended;
        let mut entry = entry.created(id.to_owned()).running();
        let job = job::process().filter(|_| code == 0 && stopped.is_none());
        if let Some(job) = job {
            // docker came back without an end: the container is detached.
            failpoint::reach("run.handing-over");
            match entry.hand_over(Owner::of(job)) {
                Ok(()) => {
                    failpoint::reach("run.handed-over");
                    return Ok(());
                }
                Err(refused) => {
                    let (kept, error) = *refused;
                    (self.tell)(Notice::NotHandedOver(error));
                    entry = kept;
                }
            }
        }
        failpoint::reach("run.stopping");
        // Who had its time to end and did not use it gets no more.
        let grace = if code == KILLED { Duration::ZERO } else { self.grace };
        if let Err(error) = self.engine.stop(id, grace).await {
            (self.tell)(Notice::NotEnded(error));
        }
        failpoint::reach("run.stopped");
        self.remove(entry.removing(), id).await
    }

    /// The container is gone. Unless it ended well, its shim may have been killed, and its processes run on.
    async fn kill_survivors(&self, entry: &Entry<'_, Intended>) {
        if self.ended.code == 0 {
            return;
        }
        // What the engine does not remember is nobody's to find.
        let told = self.engine.containers_since(RUN_LABEL, entry.name(), entry.since()).await;
        let ids = told.unwrap_or_default();
        let inmates = Inmates::of(ids.iter().map(String::as_str));
        for id in &ids {
            self.kill(&inmates, id).await;
        }
    }

    async fn remove(&self, entry: Entry<'_, Removing>, id: &str) -> Result<(), Error> {
        let inmates = Inmates::of([id]);
        failpoint::reach("run.removing");
        let removal = self.engine.remove(id).await;
        failpoint::reach("run.removed");
        let reason = match removal {
            Ok(Deletion::Done | Deletion::Gone) => {
                self.kill(&inmates, id).await;
                entry.gone()?;
                failpoint::reach("run.forgotten");
                return Ok(());
            }
            Ok(Deletion::Refused(reason)) => reason,
            Err(error) => with_cause(&error),
        };
        (self.tell)(Notice::Left(reason.clone()));
        entry.failed(reason);
        Ok(())
    }

    async fn kill(&self, inmates: &Inmates, id: &str) {
        match inmates.kill(id).await {
            0 => {}
            killed => (self.tell)(Notice::Survived(killed)),
        }
    }
}
