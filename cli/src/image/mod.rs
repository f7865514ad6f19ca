//! The frontend's image: one layer with one static binary, made as pure bytes.
//!
//! The same binary gives the same bytes: times, owners and modes are fixed, JSON is sorted, and the gzip
//! header says neither when nor where.

mod archive;
mod binary;
mod blob;
mod documents;
mod layer;
mod name;

pub use binary::{Architecture, BinaryError};
pub use blob::{Blob, Digest, DigestError};
pub(crate) use documents::INDEX;
pub use documents::MANIFEST;
pub(crate) use name::familiar;
pub use name::{ImageName, NameError};

/// An OCI image of one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The architecture of the binary.
    pub architecture: Architecture,
    /// `application/vnd.oci.image.config.v1+json`
    pub config: Blob,
    /// `application/vnd.oci.image.layer.v1.tar+gzip`
    pub layer: Blob,
    /// `application/vnd.oci.image.manifest.v1+json`
    pub manifest: Blob,
}

impl Image {
    /// The image of a frontend's binary.
    ///
    /// # Errors
    /// When the bytes are not a static executable of a known machine: it could not run in an image without
    /// libraries.
    pub fn of_binary(binary: &[u8]) -> Result<Self, BinaryError> {
        let architecture = Architecture::of_binary(binary)?;
        let layer = layer::with_binary(binary);
        let config = Blob::of_json(&documents::config(architecture, &layer.diff_id));
        let manifest = Blob::of_json(&documents::manifest(&config, &layer.compressed));
        Ok(Self { architecture, config, layer: layer.compressed, manifest })
    }

    /// The digest that a registry knows the image by.
    pub fn digest(&self) -> &Digest {
        &self.manifest.digest
    }

    /// Whether an engine's image id means this image. An engine takes the config's digest for it, or the
    /// manifest's when containerd stores its images.
    pub fn has_id(&self, id: &str) -> bool {
        [&self.config, &self.manifest].into_iter().any(|blob| blob.digest.as_str() == id)
    }

    /// The image under a name as a tar archive, which is an OCI image layout and what `docker load` reads.
    pub fn archive(&self, name: &ImageName) -> Vec<u8> {
        archive::of_image(self, name)
    }
}
