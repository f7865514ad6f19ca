//! Layers into snapshots (`diff.proto`).

use prost::Message;

use super::types::{Descriptor, Mount};
use super::{Containerd, Error, UNPACKING};

#[derive(Clone, PartialEq, Message)]
struct Apply {
    #[prost(message, optional, tag = "1")]
    diff: Option<Descriptor>,
    #[prost(message, repeated, tag = "2")]
    mounts: Vec<Mount>,
}

#[derive(Clone, PartialEq, Message)]
struct Applied {
    #[prost(message, optional, tag = "1")]
    applied: Option<Descriptor>,
}

impl Containerd {
    /// Unpacks a layer that containerd has into a snapshot, and gives the digest of what was unpacked.
    ///
    /// # Errors
    /// When containerd does not do so.
    pub async fn apply(&self, layer: Descriptor, mounts: Vec<Mount>) -> Result<String, Error> {
        let method = "/containerd.services.diff.v1.Diff/Apply";
        let asked = Apply { diff: Some(layer), mounts };
        let Applied { applied } = self.call(method, "unpack a layer", UNPACKING, asked).await?;
        Ok(applied.map(|applied| applied.digest).unwrap_or_default())
    }
}
