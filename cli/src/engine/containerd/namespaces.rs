//! Which namespaces there are (`namespace.proto`).

use prost::Message;

use super::types::Empty;
use super::{Containerd, Error, Namespace, PATIENCE};

#[derive(Clone, PartialEq, Message)]
struct Listed {
    #[prost(message, repeated, tag = "1")]
    namespaces: Vec<Named>,
}

#[derive(Clone, PartialEq, Message)]
struct Named {
    #[prost(string, tag = "1")]
    name: String,
}

impl Containerd {
    /// All its namespaces. Each comes to be with the first thing in it.
    ///
    /// # Errors
    /// When containerd does not list them in time.
    pub async fn namespaces(&self) -> Result<Vec<Namespace>, Error> {
        let method = "/containerd.services.namespaces.v1.Namespaces/List";
        let listed: Listed = self.call(method, "list its namespaces", PATIENCE, Empty {}).await?;
        Ok(listed.namespaces.into_iter().filter_map(|named| named.name.parse().ok()).collect())
    }
}
