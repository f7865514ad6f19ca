//! The end of all that a run made, in the order in which one thing holds the other: the task, processes that survived it, the
//! container, the snapshots, the lease. Each step is no error where it was done before, so it can be done again from anywhere.

use std::collections::BTreeSet;
use std::time::Duration;

use super::names::Names;
use crate::engine::containerd::{Collection, Container, Containerd, Error as EngineError, Resource, Task};
use crate::failpoint;
use crate::journal::RUN_LABEL;
use crate::process::cgroup;
use crate::process::shims::Shims;

/// What is killed has ended within this time.
const PATIENCE: Duration = Duration::from_secs(30);

/// SIGKILL.
const KILL: u32 = 9;

/// Why something could not be removed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// containerd does not do its part.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// What is killed does not end.
    #[error("the container's processes do not end")]
    Processes(#[source] std::io::Error),
    /// What is killed does not end, says containerd.
    #[error("the container was killed and does not end")]
    Task,
}

/// The shims of runs whose containers, which had these ids, are gone, on one containerd in one namespace.
pub(crate) fn shims<'a>(
    engine: &'a Containerd,
    runs: impl IntoIterator<Item = (&'a Names, &'a str)>,
) -> Shims<'a> {
    let containers = runs.into_iter().map(|(names, container)| (container, container == names.id()));
    let (address, namespace) = (engine.address().as_str(), engine.namespace().as_str());
    Shims { address, namespace, containers: containers.collect() }
}

/// What a run left, on one containerd in one namespace.
#[derive(Debug)]
pub(crate) struct Remains<'a> {
    pub(crate) engine: &'a Containerd,
    pub(crate) names: &'a Names,
    /// The id that its container has if it was made.
    pub(crate) container: &'a str,
}

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cleared {
    /// The bytes that the container had written, where that was asked and is known.
    pub(crate) bytes: Option<u64>,
    /// How many processes had outlived their shim, and were killed.
    pub(crate) survivors: usize,
}

impl Remains<'_> {
    /// Removes all but the lease.
    ///
    /// # Errors
    /// The first that cannot be removed.
    pub(crate) async fn clear(&self, is_measured: bool) -> Result<Cleared, Error> {
        failpoint::reach("containerd.clearing");
        let found = self.engine.container(self.container).await;
        let found = found.map(|container| container.filter(|container| self.is_ours(container)));
        let ended = match &found {
            Ok(Some(container)) => self.end(&container.id).await,
            Ok(None) | Err(_) => Ok(()),
        };
        failpoint::reach("containerd.task-gone");
        // Whatever containerd knows of them, and whether it answers at all.
        let survivors = cgroup::end(&self.names.cgroup(), PATIENCE).await.map_err(Error::Processes)?;
        failpoint::reach("containerd.processes-gone");
        let container = found?;
        if let (Some(container), Err(_)) = (&container, ended) {
            // Perhaps it hung on a process that is gone now.
            self.end(&container.id).await?;
        }
        if let Some(container) = &container {
            self.engine.delete_container(&container.id).await?;
        }
        failpoint::reach("containerd.container-gone");
        let bytes = self.unleased(container.as_ref(), is_measured).await?;
        failpoint::reach("containerd.snapshots-gone");
        Ok(Cleared { bytes, survivors })
    }

    /// Removes the lease: then what was unpacked for nobody else goes too, now or with containerd's next collection.
    ///
    /// # Errors
    /// When containerd does not do so.
    pub(crate) async fn release(&self, collection: Collection) -> Result<(), Error> {
        self.engine.delete_lease(&self.names.id(), collection).await?;
        failpoint::reach("containerd.lease-gone");
        Ok(())
    }

    /// What [`Remains::clear`] would tell of, with nothing removed.
    ///
    /// # Errors
    /// When containerd does not tell what there is.
    pub(crate) async fn measure(&self) -> Result<Cleared, Error> {
        let container = self.engine.container(self.container).await?;
        let container = container.filter(|container| self.is_ours(container));
        let leased = self.engine.leased(&self.names.id()).await?;
        let mut cleared = Cleared::default();
        for (snapshotter, key) in self.snapshots(&leased, container.as_ref()) {
            cleared.bytes = self.used(&snapshotter, &key, cleared.bytes).await;
        }
        Ok(cleared)
    }

    /// A container is this run's if its snapshot is: labels are also copied from images, keys are not.
    fn is_ours(&self, container: &Container) -> bool {
        container.snapshot == self.names.id()
            && container.labels.get(RUN_LABEL).is_some_and(|run| run == self.names.run())
    }

    /// Ends the task, whatever it does.
    async fn end(&self, container: &str) -> Result<(), Error> {
        match self.engine.task(container).await? {
            None => return Ok(()),
            Some(Task::Ended(_)) => {}
            Some(Task::Created | Task::Alive) => {
                self.engine.kill_task(container, KILL).await?;
                let waited = tokio::time::timeout(PATIENCE, self.engine.wait_task(container)).await;
                match waited.map_err(|_| Error::Task)? {
                    Ok(_) => {}
                    Err(error) if error.is_not_found() => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(self.engine.delete_task(container).await?)
    }

    /// Removes the snapshots that are this run's, and half-written blobs. The container's stands on layers, and so does one that is
    /// being unpacked; no other stands on them, so all are leaves. Layers are not ours to remove: containerd's collection
    /// knows who else needs them.
    async fn unleased(&self, container: Option<&Container>, is_measured: bool) -> Result<Option<u64>, Error> {
        let leased = self.engine.leased(&self.names.id()).await?;
        for ingest in leased.iter().filter(|leased| leased.kind == "ingests" && self.names.owns(&leased.id)) {
            self.engine.abort(&ingest.id).await?;
        }
        let mut bytes = None;
        for (snapshotter, key) in self.snapshots(&leased, container) {
            if is_measured {
                bytes = self.used(&snapshotter, &key, bytes).await;
            }
            self.engine.remove_snapshot(&snapshotter, &key).await?;
        }
        Ok(bytes)
    }

    /// This run's snapshots, each once: its snapshotter, and its key.
    fn snapshots(&self, leased: &[Resource], container: Option<&Container>) -> BTreeSet<(String, String)> {
        let of_lease = leased.iter().filter_map(|leased| match leased.kind.split_once('/') {
            Some(("snapshots", snapshotter)) if self.names.owns(&leased.id) => {
                Some((snapshotter.to_owned(), leased.id.clone()))
            }
            _ => None,
        });
        let of_container =
            container.map(|container| (container.snapshotter.clone(), container.snapshot.clone()));
        of_lease.chain(of_container).collect()
    }

    /// So many bytes with those of this snapshot, which need not be known for it to go.
    async fn used(&self, snapshotter: &str, key: &str, bytes: Option<u64>) -> Option<u64> {
        match self.engine.usage(snapshotter, key).await {
            Ok(used) => Some(bytes.unwrap_or(0) + used),
            Err(_) => bytes,
        }
    }
}
