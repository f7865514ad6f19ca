//! Images that depend on nothing but a number.

use bytes::Bytes;
use serde_json::json;
use sha2::Digest as _;

/// An image with layers of incompressible content: each has one file.
#[derive(Debug, Clone)]
pub struct Image {
    /// Its manifest.
    pub manifest: Bytes,
    /// Its configuration.
    pub config: Bytes,
    /// Its layers, the lowest first.
    pub layers: Vec<Bytes>,
}

impl Image {
    /// An image with so many layers of so many bytes. Another seed gives other content.
    #[must_use]
    pub fn new(seed: u64, layers: usize, bytes: usize) -> Self {
        Self::created(seed, layers, bytes, "2026-01-01T00:00:00Z")
    }

    /// The same, made at this time.
    #[must_use]
    pub fn created(seed: u64, layers: usize, bytes: usize, created: &str) -> Self {
        let layers: Vec<Bytes> = (0..layers).map(|layer| self::layer(seed, layer, bytes)).collect();
        let diff_ids: Vec<String> = layers.iter().map(|layer| digest(layer)).collect();
        let config = json!({
            "architecture": "amd64", "os": "linux", "created": created,
            "config": {"Cmd": ["/none"]}, "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let config = Bytes::from(config.to_string());
        let described: Vec<_> =
            layers.iter().map(|layer| descriptor("application/vnd.oci.image.layer.v1.tar", layer)).collect();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "layers": described,
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
        });
        Self { manifest: manifest.to_string().into(), config, layers }
    }

    /// The same, for another architecture.
    #[must_use]
    pub fn of_architecture(seed: u64, layers: usize, bytes: usize, architecture: &str) -> Self {
        let image = Self::new(seed, layers, bytes);
        let mut config: serde_json::Value = serde_json::from_slice(&image.config).unwrap_or_default();
        config["architecture"] = architecture.into();
        let config = Bytes::from(config.to_string());
        let mut manifest: serde_json::Value = serde_json::from_slice(&image.manifest).unwrap_or_default();
        manifest["config"] = descriptor("application/vnd.oci.image.config.v1+json", &config);
        Self { manifest: manifest.to_string().into(), config, ..image }
    }

    /// What the image is known by.
    #[must_use]
    pub fn digest(&self) -> String {
        digest(&self.manifest)
    }

    /// What its configuration is known by.
    #[must_use]
    pub fn config_digest(&self) -> String {
        digest(&self.config)
    }

    /// What its layers are known by, the lowest first.
    #[must_use]
    pub fn layer_digests(&self) -> Vec<String> {
        self.layers.iter().map(|layer| digest(layer)).collect()
    }

    /// An index of these images, all for the platform that they are for, and with what else is to be in it.
    #[must_use]
    pub fn index(images: &[(&Image, &str)]) -> Bytes {
        let described = images.iter().map(|(image, architecture)| {
            let mut described = descriptor(MANIFEST, &image.manifest);
            described["platform"] = json!({"os": "linux", "architecture": architecture});
            described
        });
        let described: Vec<_> = described.collect();
        json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": described}).to_string().into()
    }

    /// A manifest that says something about another one.
    #[must_use]
    pub fn referrer(&self, subject: &Bytes, artifact_type: &str) -> Self {
        let mut manifest: serde_json::Value = serde_json::from_slice(&self.manifest).unwrap_or_default();
        manifest["subject"] = descriptor(MANIFEST, subject);
        manifest["artifactType"] = artifact_type.into();
        Self { manifest: manifest.to_string().into(), ..self.clone() }
    }
}

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The digest of bytes.
pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(sha2::Sha256::digest(bytes)))
}

pub(crate) fn descriptor(media_type: &str, bytes: &Bytes) -> serde_json::Value {
    json!({"mediaType": media_type, "digest": digest(bytes), "size": bytes.len()})
}

fn layer(seed: u64, layer: usize, bytes: usize) -> Bytes {
    let mut state = seed.wrapping_mul(1000).wrapping_add(layer as u64);
    let mut content = Vec::with_capacity(bytes + 8);
    while content.len() < bytes {
        content.extend_from_slice(&random(&mut state).to_le_bytes());
    }
    content.truncate(bytes);
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    let mut archive = tar::Builder::new(Vec::new());
    let added = archive.append_data(&mut header, format!("layer-{seed}-{layer}"), content.as_slice());
    added.and_then(|()| archive.into_inner()).expect("memory takes all writes, and the path is short").into()
}

/// SplitMix64.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
