//! The image as one file: an OCI image layout that also has the `manifest.json` of `docker save`.

use super::documents;
use super::layer::tar;
use super::{Blob, Image, ImageName};

/// The archive of an image under a name.
pub(super) fn of_image(image: &Image, name: &ImageName) -> Vec<u8> {
    let json = |document: serde_json::Value| document.to_string().into_bytes();
    let mut files = vec![
        ("index.json".to_owned(), json(documents::index(image, name))),
        ("manifest.json".to_owned(), json(documents::docker_manifest(image, name))),
        ("oci-layout".to_owned(), json(documents::layout())),
    ];
    let blobs = [&image.config, &image.layer, &image.manifest];
    files.extend(blobs.map(|Blob { digest, bytes }| (digest.path(), bytes.clone())));
    files.sort();
    let entries: Vec<_> =
        files.iter().map(|(path, content)| (path.as_str(), 0o644, content.as_slice())).collect();
    tar(&entries)
}
