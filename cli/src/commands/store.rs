//! Which store a command is about.

use clap::Args;

use super::block_on;
use crate::engine::containerd::{self, Address, Containerd, Namespace};
use crate::engine::{self, Endpoint, Engine};
use crate::error::Failure;
use crate::store::{Identity, Store};

/// Which store of a docker engine is meant.
#[derive(Debug, Args)]
pub(super) struct DockerStore {
    /// A store by its name, which needs no engine [default: the engine that docker would use]
    #[arg(long = "store", value_name = "NAME", env = "CI_BUILD_STORE")]
    name: Option<Identity>,
}

impl DockerStore {
    /// The store's name, where it has one.
    pub(super) fn name(&self) -> Option<&Identity> {
        self.name.as_ref()
    }

    /// Opens the store's state.
    pub(super) fn open(&self) -> Result<Store, Failure> {
        Ok(Store::open(self.identity()?)?)
    }

    /// A name needs no engine, and none is asked.
    fn identity(&self) -> Result<Identity, Failure> {
        if let Some(name) = &self.name {
            return Ok(name.clone());
        }
        let endpoint = Endpoint::of_this_process()?;
        Ok(Identity::Docker(block_on(async { Engine::connect(&endpoint).await?.identity().await })??))
    }
}

/// Which store is meant, of whichever engine.
#[derive(Debug, Args)]
pub(super) struct StoreArgument {
    #[command(flatten)]
    docker: DockerStore,
    /// The store of a containerd without docker, by its socket [without ADDRESS: $CONTAINERD_ADDRESS, or the usual one]
    #[arg(long, value_name = "ADDRESS", env = "CI_BUILD_CONTAINERD", default_missing_value = containerd::usual())]
    #[arg(num_args = 0..=1, require_equals = true)]
    containerd: Option<Address>,
    /// The namespace of that containerd
    #[arg(long, value_name = "NAME", env = "CONTAINERD_NAMESPACE", default_value = "default")]
    namespace: Namespace,
}

impl StoreArgument {
    /// Opens the store's state.
    pub(super) fn open(&self) -> Result<Store, Failure> {
        Ok(Store::open(self.identity()?)?)
    }

    fn identity(&self) -> Result<Identity, Failure> {
        match &self.containerd {
            Some(address) if self.docker.name.is_none() => {
                let server =
                    block_on(async { Containerd::connect(address, &self.namespace).await?.server().await })??;
                Ok(Identity::Containerd { server, namespace: self.namespace.to_string() })
            }
            _ => self.docker.identity(),
        }
    }

    /// The ids of images, by the engine that has the store; none for one that it does not have.
    pub(super) fn image_ids(&self, images: &[String]) -> Result<Vec<Option<String>>, Failure> {
        let mut ids = Vec::new();
        match &self.containerd {
            Some(address) => block_on(async {
                let containerd = Containerd::connect(address, &self.namespace).await?;
                for image in images {
                    ids.push(containerd.image_id(image).await?);
                }
                Ok::<_, containerd::Error>(ids)
            })?
            .map_err(Failure::from),
            None => {
                let endpoint = Endpoint::of_this_process()?;
                block_on(async {
                    let engine = Engine::connect(&endpoint).await?;
                    for image in images {
                        ids.push(engine.image_id(image).await?);
                    }
                    Ok::<_, engine::Error>(ids)
                })?
                .map_err(Failure::from)
            }
        }
    }
}
