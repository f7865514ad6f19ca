//! Containers of an engine.

use std::collections::HashMap;

use bollard::errors::Error::DockerResponseServerError;
use bollard::models::{ContainerInspectResponse, ContainerState, ContainerStateStatusEnum};
use bollard::query_parameters::{ListContainersOptions, RemoveContainerOptionsBuilder};
use jiff::Timestamp;

use super::owned::injected;
use super::{Deletion, Engine, Error, time};

/// The label of containers that `ci-build` made, which says who owns them.
pub const OWNER_LABEL: &str = "ci-build.owner";

/// A container that an engine has, in whatever state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// Its name, without the slash before it.
    pub name: String,
    /// Its image as it was named when the container was made.
    pub image: String,
    /// Its image's id.
    pub image_id: String,
    /// Its state in the engine's words: `created`, `running`, `exited`, …
    pub state: String,
    /// When it was made.
    pub created: Timestamp,
    /// Whether `ci-build` made it, by its labels.
    pub is_ours: bool,
    /// All its labels.
    pub labels: HashMap<String, String>,
    /// The names of its volumes.
    pub volumes: Vec<String>,
    /// The ids of its networks, and their names: one that was never started is in none yet, and names those it wants.
    pub networks: Vec<String>,
}

impl Container {
    /// Whether it has run, and runs no more.
    pub fn has_ended(&self) -> bool {
        matches!(self.state.as_str(), "exited" | "dead")
    }
}

impl Engine {
    /// All containers, whatever their state.
    ///
    /// # Errors
    /// When the engine does not list them.
    pub async fn containers(&self) -> Result<Vec<Container>, Error> {
        self.containers_that(None).await
    }

    /// A container that was made from this image or from one made from it; none where there is none.
    ///
    /// # Errors
    /// When the engine does not list them.
    pub async fn container_of(&self, image: &str) -> Result<Option<Container>, Error> {
        let filters = HashMap::from([("ancestor".into(), vec![image.into()])]);
        Ok(self.containers_that(Some(filters)).await?.into_iter().next())
    }

    async fn containers_that(
        &self,
        filters: Option<HashMap<String, Vec<String>>>,
    ) -> Result<Vec<Container>, Error> {
        let options = ListContainersOptions { all: true, filters, ..ListContainersOptions::default() };
        let listed = self.docker.list_containers(Some(options)).await;
        let listed = listed.map_err(|source| self.refused("list its containers", source))?;
        Ok(listed.into_iter().map(container).collect())
    }

    /// When a container ended; none where it has not, or is gone.
    ///
    /// # Errors
    /// When the engine does not say in time.
    pub async fn container_end(&self, id: &str) -> Result<Option<Timestamp>, Error> {
        let found = self.inspected(id).await?;
        let state = found.and_then(|container| container.state);
        let has_ended = |state: &ContainerState| {
            matches!(state.status, Some(ContainerStateStatusEnum::EXITED | ContainerStateStatusEnum::DEAD))
        };
        Ok(state.filter(has_ended).and_then(|state| time(state.finished_at.as_deref())))
    }

    /// The id of the image that a container was made from; none where the container is gone.
    ///
    /// # Errors
    /// When the engine does not say in time.
    pub async fn image_of(&self, container: &str) -> Result<Option<String>, Error> {
        Ok(self.inspected(container).await?.and_then(|found| found.image))
    }

    /// All that the engine says of a container; none where it is gone.
    pub(super) async fn inspected(&self, id: &str) -> Result<Option<ContainerInspectResponse>, Error> {
        let inspect = async {
            injected()?;
            match self.docker.inspect_container(id, None).await {
                Err(DockerResponseServerError { status_code: 404, .. }) => Ok(None),
                answer => answer.map(Some),
            }
        };
        self.in_time(inspect, "look at a container").await
    }

    /// Deletes a container that does not run, with its anonymous volumes if they are to go too.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn delete_container(&self, id: &str, volumes: bool) -> Result<Deletion, Error> {
        let options = RemoveContainerOptionsBuilder::new().v(volumes).build();
        self.deletion(self.docker.remove_container(id, Some(options)).await, "delete a container")
    }
}

fn container(listed: bollard::models::ContainerSummary) -> Container {
    let name = listed.names.and_then(|names| names.into_iter().next()).unwrap_or_default();
    let labels = listed.labels.unwrap_or_default();
    let networks = listed.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
    Container {
        id: listed.id.unwrap_or_default(),
        name: name.trim_start_matches('/').into(),
        image: listed.image.unwrap_or_default(),
        image_id: listed.image_id.unwrap_or_default(),
        state: listed.state.map(|state| state.to_string()).unwrap_or_default(),
        created: listed.created.and_then(|time| Timestamp::from_second(time).ok()).unwrap_or_default(),
        is_ours: labels.contains_key(OWNER_LABEL),
        labels,
        volumes: listed.mounts.unwrap_or_default().into_iter().filter_map(|mount| mount.name).collect(),
        networks: networks
            .into_iter()
            .flat_map(|(name, of)| of.network_id.into_iter().chain([name]))
            .collect(),
    }
}
