//! The frontend's image: one layer with one static binary, made as pure bytes.
//!
//! The same binary gives the same bytes: times, owners and modes are fixed, JSON is sorted, and the gzip
//! header says neither when nor where.

mod archive;
mod binary;
mod blob;
mod documents;
mod full_name;
mod layer;
mod name;

pub use binary::{Architecture, BinaryError};
pub use blob::{Blob, Digest, DigestError};
pub(crate) use documents::INDEX;
pub use documents::MANIFEST;
pub use full_name::{FullName, ParseError};
pub(crate) use name::familiar;
pub use name::{ImageName, NameError};

/// The repository that the frontend's image gets in an engine when no name is given. Its registry is the host itself, where there is
/// none: an engine that keeps its images in containerd asks the registry first, at every build, and would take a stranger's image for
/// ours (docs/frontend-image.md).
pub const FRONTEND: &str = "localhost/ci-build/frontend";

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

/// What tells an image among others, without the work of compressing it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    config: Digest,
    diff_id: Digest,
}

impl Fingerprint {
    /// That of a frontend's image.
    ///
    /// # Errors
    /// As [`Image::of_binary`].
    pub fn of_binary(binary: &[u8]) -> Result<Self, BinaryError> {
        let architecture = Architecture::of_binary(binary)?;
        let diff_id = layer::diff_id(binary);
        let config = Blob::of_json(&documents::config(architecture, &diff_id)).digest;
        Ok(Self { config, diff_id })
    }

    /// Whether an engine's image is this one, by what the engine tells of it: its id is the config's digest, or, where
    /// containerd stores images, another one, and then its only layer and its entrypoint say so.
    pub fn is_of(&self, id: &str, layers: &[String], entrypoint: &[String]) -> bool {
        let ours = [format!("/{}", layer::BINARY)];
        id == self.config.as_str() || (layers == [self.diff_id.as_str()] && entrypoint == ours)
    }
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
