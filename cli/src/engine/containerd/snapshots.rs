//! Snapshots: the file systems of containers, and the layers that they stand on (`snapshots.proto`).

use prost::Message;

use super::error::if_there;
use super::types::{Empty, Labels, Mount};
use super::{Containerd, Error, LONG, PATIENCE};

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Whether it can be written to: a container's, or a layer that is being unpacked. Else it is a layer.
    pub is_active: bool,
    /// Its labels.
    pub labels: Labels,
}

/// `Kind` of a snapshot that can be written to.
const ACTIVE: i32 = 2;

#[derive(Clone, PartialEq, Message)]
struct Prepare {
    #[prost(string, tag = "1")]
    snapshotter: String,
    #[prost(string, tag = "2")]
    key: String,
    #[prost(string, tag = "3")]
    parent: String,
    #[prost(map = "string, string", tag = "4")]
    labels: Labels,
}

#[derive(Clone, PartialEq, Message)]
struct Prepared {
    #[prost(message, repeated, tag = "1")]
    mounts: Vec<Mount>,
}

#[derive(Clone, PartialEq, Message)]
struct Commit {
    #[prost(string, tag = "1")]
    snapshotter: String,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    key: String,
}

/// What the other methods are asked.
#[derive(Clone, PartialEq, Message)]
struct Key {
    #[prost(string, tag = "1")]
    snapshotter: String,
    #[prost(string, tag = "2")]
    key: String,
}

#[derive(Clone, PartialEq, Message)]
struct Stat {
    #[prost(message, optional, tag = "1")]
    info: Option<Info>,
}

#[derive(Clone, PartialEq, Message)]
struct Info {
    #[prost(int32, tag = "3")]
    kind: i32,
    #[prost(map = "string, string", tag = "6")]
    labels: Labels,
}

#[derive(Clone, PartialEq, Message)]
struct Usage {
    #[prost(int64, tag = "1")]
    size: i64,
}

impl Containerd {
    /// Makes a snapshot to write to, over the layer of this name, or over none where that is empty.
    ///
    /// # Errors
    /// When containerd does not do so.
    pub async fn prepare_snapshot(
        &self,
        snapshotter: &str,
        key: &str,
        parent: &str,
        labels: Labels,
    ) -> Result<Vec<Mount>, Error> {
        let method = "/containerd.services.snapshots.v1.Snapshots/Prepare";
        let asked =
            Prepare { snapshotter: snapshotter.into(), key: key.into(), parent: parent.into(), labels };
        let Prepared { mounts } = self.call(method, "prepare a snapshot", LONG, asked).await?;
        Ok(mounts)
    }

    /// Makes a layer of this name out of a snapshot.
    ///
    /// # Errors
    /// When containerd does not do so, say because there is such a layer.
    pub async fn commit_snapshot(&self, snapshotter: &str, name: &str, key: &str) -> Result<(), Error> {
        let method = "/containerd.services.snapshots.v1.Snapshots/Commit";
        let asked = Commit { snapshotter: snapshotter.into(), name: name.into(), key: key.into() };
        self.call::<_, Empty>(method, "commit a layer", LONG, asked).await.map(drop)
    }

    /// What a snapshot is; none where there is none of this key.
    ///
    /// # Errors
    /// When containerd does not say in time.
    pub async fn snapshot(&self, snapshotter: &str, key: &str) -> Result<Option<Snapshot>, Error> {
        let method = "/containerd.services.snapshots.v1.Snapshots/Stat";
        let asked = Self::key(snapshotter, key);
        let found: Option<Stat> = if_there(self.call(method, "look at a snapshot", PATIENCE, asked).await)?;
        let info = found.and_then(|found| found.info);
        Ok(info.map(|info| Snapshot { is_active: info.kind == ACTIVE, labels: info.labels }))
    }

    /// The bytes that a snapshot has beside its layers.
    ///
    /// # Errors
    /// When containerd does not count them in time.
    pub async fn usage(&self, snapshotter: &str, key: &str) -> Result<u64, Error> {
        let method = "/containerd.services.snapshots.v1.Snapshots/Usage";
        let asked = Self::key(snapshotter, key);
        let Usage { size } = self.call(method, "measure a snapshot", LONG, asked).await?;
        Ok(size.try_into().unwrap_or(0))
    }

    /// Removes a snapshot; one that is gone is no error. Its files go with containerd's next collection.
    ///
    /// # Errors
    /// When containerd does not do so.
    pub async fn remove_snapshot(&self, snapshotter: &str, key: &str) -> Result<(), Error> {
        let method = "/containerd.services.snapshots.v1.Snapshots/Remove";
        let asked = Self::key(snapshotter, key);
        if_there(self.call::<_, Empty>(method, "remove a snapshot", LONG, asked).await).map(drop)
    }

    fn key(snapshotter: &str, key: &str) -> Key {
        Key { snapshotter: snapshotter.into(), key: key.into() }
    }
}
