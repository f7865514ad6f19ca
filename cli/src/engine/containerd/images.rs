//! Which images there are (`images.proto`).

use prost::Message;

use super::error::if_there;
use super::types::Descriptor;
use super::{Containerd, Error, PATIENCE};

#[derive(Clone, PartialEq, Message)]
struct Get {
    #[prost(string, tag = "1")]
    name: String,
}

/// The answer, as far as it is read.
#[derive(Clone, PartialEq, Message)]
struct Got {
    #[prost(message, optional, tag = "1")]
    image: Option<Image>,
}

#[derive(Clone, PartialEq, Message)]
struct Image {
    #[prost(message, optional, tag = "3")]
    target: Option<Descriptor>,
}

impl Containerd {
    /// The manifest or index that this name means; none where the namespace has no such image.
    ///
    /// # Errors
    /// When containerd does not say in time.
    pub async fn image(&self, name: &str) -> Result<Option<Descriptor>, Error> {
        let method = "/containerd.services.images.v1.Images/Get";
        let asked = Get { name: name.into() };
        let found: Option<Got> = if_there(self.call(method, "look for the image", PATIENCE, asked).await)?;
        Ok(found.and_then(|found| found.image).and_then(|image| image.target))
    }

    /// Its digest.
    ///
    /// # Errors
    /// As [`Containerd::image`].
    pub async fn image_id(&self, name: &str) -> Result<Option<String>, Error> {
        Ok(self.image(name).await?.map(|target| target.digest))
    }
}
