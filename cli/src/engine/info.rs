//! What an engine tells of itself and of what it is made of.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use bollard::query_parameters::ListContainersOptionsBuilder;
use jiff::{SignedDuration, Timestamp};

use super::{Endpoint, Engine, Error, time};

/// What an engine is, where its data lies, and what it runs things with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// What it calls itself, whatever the way to it.
    pub id: Option<String>,
    /// Its version, such as `28.5.2`.
    pub version: String,
    /// The directory of its data, on its own host.
    pub root: Option<PathBuf>,
    /// Whether that host is ours: it is reached through a socket.
    pub is_local: bool,
    /// By how much its clock is ahead of ours; zero where the two may tell the same.
    pub ahead: SignedDuration,
    /// Where it keeps images and layers.
    pub store: ImageStore,
    /// Versions of its parts by their names: `containerd`, `runc`.
    pub components: Vec<(String, String)>,
    /// Builders of their own that run in its containers.
    pub builders: Vec<Builder>,
}

/// Where an engine keeps images and layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageStore {
    /// In a graph driver of its own, such as `overlay2`.
    GraphDriver(String),
    /// In containerd, by a snapshotter such as `overlayfs`.
    Containerd(String),
}

/// A BuildKit that buildx runs in a container (its driver `docker-container`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Builder {
    /// The container's name.
    pub name: String,
    /// The image it runs, which tells its version.
    pub image: String,
}

/// The kind of storage driver that dockerd tells of when its images are in containerd (moby `daemon/info.go`).
const SNAPSHOTTER: &str = "io.containerd.snapshotter.v1";

impl ImageStore {
    fn of(driver: String, status: &[Vec<String>]) -> Self {
        let is_containerd = status.iter().any(|pair| matches!(&pair[..], [_, kind] if kind == SNAPSHOTTER));
        if is_containerd { Self::Containerd(driver) } else { Self::GraphDriver(driver) }
    }

    /// The kind, for scripts.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::GraphDriver(_) => "graph-driver",
            Self::Containerd(_) => "containerd",
        }
    }
}

impl fmt::Display for ImageStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GraphDriver(driver) => write!(f, "graph driver {driver}"),
            Self::Containerd(snapshotter) => write!(f, "containerd, {snapshotter}"),
        }
    }
}

impl Info {
    /// The version of a part of it.
    pub fn component(&self, name: &str) -> Option<&str> {
        self.components.iter().find(|(known, _)| known == name).map(|(_, version)| version.as_str())
    }
}

impl Engine {
    /// Reaches an engine and asks what it is, all within this time.
    ///
    /// # Errors
    /// As [`Engine::connect`], and when the engine does not tell in time.
    pub async fn look(endpoint: &Endpoint, limit: Duration) -> Result<(Self, Info), Error> {
        let look = async {
            let engine = Self::connect(endpoint).await?;
            let info = engine.info().await?;
            Ok((Self { ahead: info.ahead, ..engine }, info))
        };
        match tokio::time::timeout(limit, look).await {
            Ok(seen) => seen,
            Err(_) => Err(Error::Hangs(endpoint.clone())),
        }
    }

    /// What the engine tells of itself.
    ///
    /// # Errors
    /// When it does not say in time.
    pub async fn info(&self) -> Result<Info, Error> {
        let asked = Timestamp::now();
        let info = self.in_time(self.docker.info(), "tell of itself").await?;
        let ahead = ahead(time(info.system_time.as_deref()), asked, Timestamp::now());
        let version = self.in_time(self.docker.version(), "name its version").await?;
        let components = version.components.unwrap_or_default();
        Ok(Info {
            id: info.id.filter(|id| !id.is_empty()),
            version: info.server_version.unwrap_or_default(),
            root: info.docker_root_dir.map(PathBuf::from),
            is_local: self.endpoint.address.starts_with("unix://"),
            ahead,
            store: ImageStore::of(
                info.driver.unwrap_or_default(),
                info.driver_status.as_deref().unwrap_or_default(),
            ),
            components: components.into_iter().map(|part| (part.name, part.version)).collect(),
            builders: self.builders().await?,
        })
    }

    async fn builders(&self) -> Result<Vec<Builder>, Error> {
        let filters = HashMap::from([("name", vec!["buildx_buildkit_"])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let found = self.in_time(self.docker.list_containers(Some(options)), "list its builders").await?;
        let builder = |container: bollard::models::ContainerSummary| {
            let name = container.names?.into_iter().next()?;
            Some(Builder { name: name.trim_start_matches('/').into(), image: container.image? })
        };
        Ok(found.into_iter().filter_map(builder).collect())
    }
}

/// By how much a clock is ahead of ours that told this time after it was asked at one and before it answered at the other of our
/// times: no less than it is, and no more than that and the time the answer took.
fn ahead(told: Option<Timestamp>, asked: Timestamp, answered: Timestamp) -> SignedDuration {
    let differs = told.filter(|told| !(asked..=answered).contains(told));
    differs.map_or(SignedDuration::ZERO, |told| told.duration_since(asked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_driver_tells_the_store() {
        let store = |driver: &str, status: &[[&str; 2]]| {
            let status: Vec<_> = status.iter().map(|pair| pair.map(String::from).to_vec()).collect();
            ImageStore::of(driver.into(), &status).to_string()
        };
        insta::assert_snapshot!(store("overlay2", &[["Backing Filesystem", "extfs"]]), @"graph driver overlay2");
        insta::assert_snapshot!(store("overlayfs", &[["driver-type", SNAPSHOTTER]]), @"containerd, overlayfs");
    }

    #[test]
    fn a_clock_that_may_tell_the_same_is_not_ahead() {
        let second = |seconds| Timestamp::from_second(1_700_000_000 + seconds).unwrap();
        let ahead = |told: Option<i64>| ahead(told.map(second), second(10), second(12)).as_secs();
        assert_eq!([None, Some(10), Some(11), Some(12)].map(ahead), [0; 4]);
        assert_eq!([Some(9), Some(13), Some(-3590)].map(ahead), [-1, 3, -3600]);
    }
}
