//! Volumes of an engine.

use std::collections::HashMap;

use bollard::query_parameters::{ListVolumesOptions, RemoveVolumeOptions};
use jiff::Timestamp;

use super::docker::LONG_PATIENCE;
use super::{Deletion, Engine, Error, OWNER_LABEL, time};

const LIST: &str = "list its volumes";

/// A volume that no container has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// When it was made, where the engine knows.
    pub created: Option<Timestamp>,
    /// Whether the engine gave it its name, which nobody knows then: 64 hexadecimal digits.
    pub is_anonymous: bool,
}

/// A volume with our labels that no container has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedVolume {
    /// Its name.
    pub name: String,
    /// All its labels.
    pub labels: HashMap<String, String>,
}

impl Engine {
    /// The volumes with our labels that no container has.
    ///
    /// # Errors
    /// When the engine does not list them in time.
    pub async fn owned_volumes(&self) -> Result<Vec<OwnedVolume>, Error> {
        let listed = self.in_time(self.dangling_volumes(Some(OWNER_LABEL)), LIST).await?;
        let owned =
            |volume: bollard::models::Volume| OwnedVolume { name: volume.name, labels: volume.labels };
        Ok(listed.into_iter().map(owned).collect())
    }

    async fn dangling_volumes(
        &self,
        label: Option<&str>,
    ) -> Result<Vec<bollard::models::Volume>, bollard::errors::Error> {
        let filters = [("dangling", Some("true")), ("label", label)];
        let filters =
            filters.into_iter().filter_map(|(name, value)| Some((name.into(), vec![value?.into()])));
        let filters = Some(filters.collect());
        let listed = self.docker.list_volumes(Some(ListVolumesOptions { filters })).await?;
        Ok(listed.volumes.unwrap_or_default())
    }

    /// The volumes that no container has.
    ///
    /// # Errors
    /// When the engine does not list them.
    pub async fn unused_volumes(&self) -> Result<Vec<Volume>, Error> {
        let volume = |volume: bollard::models::Volume| Volume {
            created: time(volume.created_at.as_deref()),
            is_anonymous: volume.name.len() == 64 && volume.name.bytes().all(|b| b.is_ascii_hexdigit()),
            name: volume.name,
        };
        let listed = self.dangling_volumes(None).await.map_err(|source| self.refused(LIST, source))?;
        Ok(listed.into_iter().map(volume).collect())
    }

    /// Deletes a volume that no container has.
    ///
    /// # Errors
    /// When the engine does not answer in time.
    pub async fn delete_volume(&self, name: &str) -> Result<Deletion, Error> {
        let remove = self.docker.remove_volume(name, None::<RemoveVolumeOptions>);
        match tokio::time::timeout(LONG_PATIENCE, remove).await {
            Ok(answer) => self.deletion(answer, "delete a volume"),
            Err(_) => Err(Error::Hangs(self.endpoint.clone())),
        }
    }
}
