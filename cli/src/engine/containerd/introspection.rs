//! Which containerd this is (`introspection.proto`).

use prost::Message;

use super::types::Empty;
use super::{Containerd, Error, PATIENCE};

/// The answer to `Server`, as far as it is read.
#[derive(Clone, PartialEq, Message)]
struct Server {
    #[prost(string, tag = "1")]
    uuid: String,
}

impl Containerd {
    /// What containerd calls itself. It keeps that in a file of its root directory (`server/introspection`), so this is
    /// the root's identity, whatever the way to the socket and wherever the root is mounted.
    ///
    /// # Errors
    /// When it does not say in time, or has no such name.
    pub async fn server(&self) -> Result<String, Error> {
        let method = "/containerd.services.introspection.v1.Introspection/Server";
        let Server { uuid } = self.call(method, "name itself", PATIENCE, Empty {}).await?;
        if uuid.is_empty() { Err(Error::Nameless(self.address.clone())) } else { Ok(uuid) }
    }
}
