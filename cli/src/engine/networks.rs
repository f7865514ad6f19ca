//! Networks of an engine.

use bollard::query_parameters::ListNetworksOptions;
use jiff::Timestamp;

use super::{Deletion, Engine, Error, time};

/// By which the containers of a swarm's services reach what is outside, on each of its nodes.
const GATEWAY: &str = "docker_gwbridge";

/// A network that somebody made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was made, where the engine knows.
    pub created: Option<Timestamp>,
}

impl Engine {
    /// The networks that come neither with the engine nor with a swarm.
    ///
    /// # Errors
    /// When the engine does not list them.
    pub async fn networks(&self) -> Result<Vec<Network>, Error> {
        let filters = Some([("type".into(), vec!["custom".into()])].into());
        let listed = self.docker.list_networks(Some(ListNetworksOptions { filters })).await;
        let listed = listed.map_err(|source| self.refused("list its networks", source))?;
        let network = |network: bollard::models::Network| Network {
            id: network.id.unwrap_or_default(),
            name: network.name.unwrap_or_default(),
            created: time(network.created.as_deref()),
        };
        // "custom" is all that is not bridge, host and none (moby `daemon/network/filter.go`).
        let is_of_swarm = |network: &bollard::models::Network| {
            network.ingress == Some(true) || network.name.as_deref() == Some(GATEWAY)
        };
        Ok(listed.into_iter().filter(|found| !is_of_swarm(found)).map(network).collect())
    }

    /// Deletes a network that no container is connected to.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn delete_network(&self, id: &str) -> Result<Deletion, Error> {
        self.deletion(self.docker.remove_network(id).await, "delete a network")
    }
}
