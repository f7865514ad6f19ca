//! The JSON documents of the image, after the OCI image specification 1.1. Written out, not by a library's
//! types: the image's digest must not change when a library learns a new field. `serde_json` sorts their
//! keys.

use serde_json::{Value, json};

use super::{Architecture, Blob, Digest, Image, ImageName, layer};

pub(super) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(super) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// The media type of an image's manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The image's configuration. BuildKit reads the labels: the frontend needs no network, and takes inputs,
/// subrequests and named contexts.
pub(super) fn config(architecture: Architecture, diff_id: &Digest) -> Value {
    json!({
        "architecture": architecture.as_str(),
        "config": {
            "Entrypoint": [format!("/{}", layer::BINARY)],
            "Labels": {
                "moby.buildkit.frontend.caps": "moby.buildkit.frontend.inputs,\
                    moby.buildkit.frontend.subrequests,moby.buildkit.frontend.contexts",
                "moby.buildkit.frontend.network.none": "true",
            },
        },
        "created": EPOCH,
        "history": [{ "created": EPOCH, "created_by": "ci-build frontend" }],
        "os": "linux",
        "rootfs": { "diff_ids": [diff_id.as_str()], "type": "layers" },
    })
}

/// The image's manifest.
pub(super) fn manifest(config: &Blob, layer: &Blob) -> Value {
    json!({
        "config": descriptor(CONFIG, config),
        "layers": [descriptor(LAYER, layer)],
        "mediaType": MANIFEST,
        "schemaVersion": 2,
    })
}

/// `index.json` of an image layout. containerd takes the name from its own annotation; the specification's
/// one holds the tag alone.
pub(super) fn index(image: &Image, name: &ImageName) -> Value {
    let mut manifest = descriptor(MANIFEST, &image.manifest);
    manifest["annotations"] = json!({
        "io.containerd.image.name": name.full(),
        "org.opencontainers.image.ref.name": name.tag(),
    });
    manifest["platform"] = json!({ "architecture": image.architecture.as_str(), "os": "linux" });
    json!({ "manifests": [manifest], "mediaType": INDEX, "schemaVersion": 2 })
}

/// `oci-layout` of an image layout.
pub(super) fn layout() -> Value {
    json!({ "imageLayoutVersion": "1.0.0" })
}

/// `manifest.json` of a `docker save` archive, all that an engine reads which keeps images by its graph
/// driver; one that keeps them in containerd would make a manifest of its own from it.
pub(super) fn docker_manifest(image: &Image, name: &ImageName) -> Value {
    json!([{
        "Config": image.config.digest.path(),
        "Layers": [image.layer.digest.path()],
        "RepoTags": [name.to_string()],
    }])
}

const EPOCH: &str = "1970-01-01T00:00:00Z";

fn descriptor(media_type: &str, blob: &Blob) -> Value {
    json!({ "digest": blob.digest.as_str(), "mediaType": media_type, "size": blob.bytes.len() })
}
