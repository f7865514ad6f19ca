//! Containers: what is known of them. What runs in one is its task (`containers.proto`).

use prost::Message;

use super::error::if_there;
use super::types::{Any, Empty, Filters, Labels};
use super::{Containerd, Error, PATIENCE, with_label};

/// What runs a container, as `ctr` has it by default.
const RUNTIME: &str = "io.containerd.runc.v2";

/// What an OCI runtime specification is called.
const SPEC: &str = "types.containerd.io/opencontainers/runtime-spec/1/Spec";

/// A container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Container {
    /// Its id, which is its name too.
    pub id: String,
    /// Its labels.
    pub labels: Labels,
    /// Its image as it was called.
    pub image: String,
    /// What makes its snapshot.
    pub snapshotter: String,
    /// Its snapshot's key.
    pub snapshot: String,
}

#[derive(Clone, PartialEq, Message)]
struct Wire {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(map = "string, string", tag = "2")]
    labels: Labels,
    #[prost(string, tag = "3")]
    image: String,
    #[prost(message, optional, tag = "4")]
    runtime: Option<Runtime>,
    #[prost(message, optional, tag = "5")]
    spec: Option<Any>,
    #[prost(string, tag = "6")]
    snapshotter: String,
    #[prost(string, tag = "7")]
    snapshot: String,
}

#[derive(Clone, PartialEq, Message)]
struct Runtime {
    #[prost(string, tag = "1")]
    name: String,
}

/// The question of `Create`, and the answer of `Get` and `Create`.
#[derive(Clone, PartialEq, Message)]
struct One {
    #[prost(message, optional, tag = "1")]
    container: Option<Wire>,
}

#[derive(Clone, PartialEq, Message)]
struct Id {
    #[prost(string, tag = "1")]
    id: String,
}

#[derive(Clone, PartialEq, Message)]
struct Listed {
    #[prost(message, repeated, tag = "1")]
    containers: Vec<Wire>,
}

impl Containerd {
    /// Makes a container that runs by this OCI runtime specification. Nothing runs yet.
    ///
    /// # Errors
    /// When containerd does not do so, say because one of this id is there.
    pub async fn create_container(
        &self,
        container: &Container,
        spec: &serde_json::Value,
    ) -> Result<(), Error> {
        let Container { id, labels, image, snapshotter, snapshot } = container.clone();
        let runtime = Some(Runtime { name: RUNTIME.into() });
        let spec = Some(Any { type_url: SPEC.into(), value: spec.to_string().into_bytes() });
        let container = Some(Wire { id, labels, image, runtime, spec, snapshotter, snapshot });
        let method = "/containerd.services.containers.v1.Containers/Create";
        let _: One = self.call(method, "make a container", PATIENCE, One { container }).await?;
        Ok(())
    }

    /// The container of this id; none where there is none.
    ///
    /// # Errors
    /// When containerd does not say in time.
    pub async fn container(&self, id: &str) -> Result<Option<Container>, Error> {
        let method = "/containerd.services.containers.v1.Containers/Get";
        let asked = Id { id: id.into() };
        let found: Option<One> = if_there(self.call(method, "look at a container", PATIENCE, asked).await)?;
        Ok(found.and_then(|found| found.container).map(Container::from))
    }

    /// The containers that have this label.
    ///
    /// # Errors
    /// When containerd does not list them in time.
    pub async fn containers_with(&self, label: &str) -> Result<Vec<Container>, Error> {
        let method = "/containerd.services.containers.v1.Containers/List";
        let asked = Filters { filters: vec![with_label(label)] };
        let listed: Listed = self.call(method, "list its containers", PATIENCE, asked).await?;
        Ok(listed.containers.into_iter().map(Container::from).collect())
    }

    /// Deletes a container; one that is gone is no error.
    ///
    /// # Errors
    /// When containerd does not do so.
    pub async fn delete_container(&self, id: &str) -> Result<(), Error> {
        let method = "/containerd.services.containers.v1.Containers/Delete";
        let asked = Id { id: id.into() };
        if_there(self.call::<_, Empty>(method, "delete a container", PATIENCE, asked).await).map(drop)
    }
}

impl From<Wire> for Container {
    fn from(wire: Wire) -> Self {
        let Wire { id, labels, image, snapshotter, snapshot, .. } = wire;
        Self { id, labels, image, snapshotter, snapshot }
    }
}
