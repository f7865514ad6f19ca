//! What an engine tells of itself.

use std::path::PathBuf;

use super::{Engine, Error};

/// An engine's identity and place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// What it calls itself, whatever the way to it.
    pub id: String,
    /// The directory of its data, on its own host. None where it does not tell.
    pub root: Option<PathBuf>,
    /// Whether it is on this host: it is reached through a socket of ours.
    pub is_local: bool,
    /// Its version, such as `28.5.2`.
    pub version: String,
}

impl Engine {
    /// What the engine tells of itself.
    ///
    /// # Errors
    /// When it does not say in time, or has no identity.
    pub async fn host(&self) -> Result<Host, Error> {
        let info = self.in_time(self.docker.info(), "tell of itself").await?;
        let id = info.id.filter(|id| !id.is_empty());
        Ok(Host {
            id: id.ok_or_else(|| Error::Nameless(self.endpoint.clone()))?,
            root: info.docker_root_dir.map(PathBuf::from),
            is_local: self.endpoint.address.starts_with("unix://"),
            version: info.server_version.unwrap_or_default(),
        })
    }
}
