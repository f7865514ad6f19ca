//! Volumes of an engine.

use bollard::query_parameters::{ListVolumesOptions, RemoveVolumeOptions};
use jiff::Timestamp;

use super::{Deletion, Engine, Error, time};

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

impl Engine {
    /// The volumes that no container has.
    ///
    /// # Errors
    /// When the engine does not list them.
    pub async fn unused_volumes(&self) -> Result<Vec<Volume>, Error> {
        let filters = Some([("dangling".into(), vec!["true".into()])].into());
        let listed = self.docker.list_volumes(Some(ListVolumesOptions { filters })).await;
        let listed = listed.map_err(|source| self.refused("list its volumes", source))?;
        let volume = |volume: bollard::models::Volume| Volume {
            created: time(volume.created_at.as_deref()),
            is_anonymous: volume.name.len() == 64 && volume.name.bytes().all(|b| b.is_ascii_hexdigit()),
            name: volume.name,
        };
        Ok(listed.volumes.unwrap_or_default().into_iter().map(volume).collect())
    }

    /// Deletes a volume that no container has.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn delete_volume(&self, name: &str) -> Result<Deletion, Error> {
        let answer = self.docker.remove_volume(name, None::<RemoveVolumeOptions>).await;
        self.deletion(answer, "delete a volume")
    }
}
