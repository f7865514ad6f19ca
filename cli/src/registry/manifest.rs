//! What a manifest says of what it needs. Manifests travel as the bytes that they are; this only reads them.

use serde::Deserialize;

use super::failure::Failure;
use crate::image::Digest;

/// The media types that are asked for.
pub(super) const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// A manifest longer than this is refused, as registries do.
pub(super) const LONGEST: u64 = 4 << 20;

/// A manifest or an index, as bytes and as what is to be known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The digest of the bytes.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// As it came.
    pub bytes: bytes::Bytes,
    /// What it points to.
    pub content: Content,
    /// What it says something about, where it is a referrer.
    pub subject: Option<Digest>,
}

/// What a manifest points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// An image or another artifact.
    Image {
        /// Its configuration.
        config: Descriptor,
        /// Its layers, the lowest first.
        layers: Vec<Descriptor>,
    },
    /// An index: a manifest a platform, and attestations.
    Index(Vec<Descriptor>),
}

/// One thing that a manifest points to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Its media type.
    #[serde(default)]
    pub media_type: String,
    /// Its digest.
    #[serde(deserialize_with = "digest")]
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// The platform that it is for.
    #[serde(default)]
    pub platform: Option<Platform>,
    /// Where else it is: then registries need not have it.
    #[serde(default)]
    urls: Option<Vec<String>>,
    /// The kind of artifact, in lists of referrers.
    #[serde(default)]
    pub artifact_type: Option<String>,
}

/// A platform, such as `linux/arm64/v8`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Platform {
    /// Its operating system.
    pub os: String,
    /// Its architecture.
    pub architecture: String,
    /// Which of that architecture.
    #[serde(default)]
    pub variant: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(default)]
    media_type: Option<String>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
}

fn digest<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

impl Manifest {
    /// Reads a manifest, which the registry says is of this media type.
    ///
    /// # Errors
    /// When it is neither an image's nor an index.
    pub fn read(bytes: bytes::Bytes, media_type: Option<&str>) -> Result<Self, Failure> {
        let malformed = |why: String| Failure::Malformed(format!("its manifest: {why}"));
        let document: Document =
            serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
        let content = match (document.manifests, document.config) {
            (Some(manifests), None) => Content::Index(manifests),
            (None, Some(config)) => Content::Image { config, layers: document.layers },
            _ => return Err(malformed("it is neither an image's nor an index".into())),
        };
        let media_type = document.media_type.as_deref().or(media_type).unwrap_or(match content {
            Content::Index(_) => "application/vnd.oci.image.index.v1+json",
            Content::Image { .. } => crate::image::MANIFEST,
        });
        Ok(Self {
            digest: Digest::of(&bytes),
            media_type: media_type.to_owned(),
            content,
            subject: document.subject.map(|subject| subject.digest),
            bytes,
        })
    }

    /// The blobs that it needs from a registry, its configuration first.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        let (config, layers) = match &self.content {
            Content::Image { config, layers } => (Some(config), layers.as_slice()),
            Content::Index(_) => (None, [].as_slice()),
        };
        config.into_iter().chain(layers).filter(|blob| !blob.is_elsewhere())
    }

    /// The manifests that it needs.
    pub fn children(&self) -> &[Descriptor] {
        match &self.content {
            Content::Index(manifests) => manifests,
            Content::Image { .. } => &[],
        }
    }
}

impl Descriptor {
    /// Whether it is of a kind that registries are not to have: a layer of Windows that may not be given on.
    pub fn is_elsewhere(&self) -> bool {
        self.urls.as_ref().is_some_and(|urls| !urls.is_empty()) && self.media_type.contains("foreign")
            || self.media_type.contains("nondistributable") && self.urls.is_some()
    }
}

impl Platform {
    /// Whether an image for this platform runs where `wanted` is asked for. A variant that is not asked for may be any.
    pub fn is(&self, wanted: &Self) -> bool {
        let variant = |platform: &Self| match (platform.architecture.as_str(), platform.variant.as_deref()) {
            // arm64 has this variant, whether it says so or not.
            ("arm64", Some("v8") | None) => None,
            (_, variant) => variant.map(str::to_owned),
        };
        self.os == wanted.os
            && self.architecture == wanted.architecture
            && (variant(wanted).is_none() || variant(self) == variant(wanted))
    }
}

impl std::str::FromStr for Platform {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('/').collect();
        let (os, architecture, variant) = match parts.as_slice() {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some((*variant).to_owned())),
            _ => return Err("write it as linux/amd64 or linux/arm/v7".into()),
        };
        if os.is_empty() || architecture.is_empty() {
            return Err("write it as linux/amd64 or linux/arm/v7".into());
        }
        Ok(Self { os: (*os).into(), architecture: (*architecture).into(), variant })
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: String) -> Result<Manifest, Failure> {
        Manifest::read(text.into(), None)
    }

    #[test]
    fn a_manifest_tells_what_it_needs() {
        let digest = |digit: &str| format!("sha256:{}", digit.repeat(64));
        let (a, b) = (digest("a"), digest("b"));
        let image = format!(
            r#"{{"config":{{"digest":"{a}","size":2}},"layers":[{{"digest":"{b}","size":3}},
               {{"digest":"{b}","size":3,"urls":["x"],"mediaType":"foreign"}}],"unknown":1}}"#
        );
        let manifest = read(image).unwrap();
        assert_eq!(manifest.blobs().map(|blob| blob.size).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(manifest.media_type, "application/vnd.oci.image.manifest.v1+json");
        let index = format!(
            r#"{{"manifests":[{{"digest":"{a}","size":2,"platform":{{"os":"linux","architecture":"arm64","variant":"v8"}}}}]}}"#
        );
        let index = read(index).unwrap();
        let platform = index.children()[0].platform.as_ref().unwrap();
        assert!(platform.is(&"linux/arm64".parse().unwrap()));
        assert!(!platform.is(&"linux/amd64".parse().unwrap()));
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"config":{"digest":"md5:1","size":1}}"#,
            r#"{"schemaVersion":1,"fsLayers":[]}"#,
        ] {
            assert!(read(text.into()).is_err(), "{text}");
        }
    }
}
