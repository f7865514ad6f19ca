//! An image as a tar archive that streams: an OCI image layout that also has the `manifest.json` of `docker save`. For an
//! engine that cannot reach our loopback, and for the name that containerd gives an image whose content it has.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;

use super::content::{Content, Identities};
use crate::image::{self, Digest};
use crate::registry::{Manifest, Reference, Target};

/// Tar's blocks have this many bytes.
const BLOCK: u64 = 512;

/// Bytes are read from the disk in pieces of this size.
const PIECE: usize = 256 << 10;

/// One file in the archive.
#[derive(Debug)]
enum Entry {
    Bytes(String, Bytes),
    Blob(Digest, u64),
}

/// The whole image of one platform, whose blobs are fetched while the archive is read.
pub(super) fn whole(
    content: &Arc<Content>,
    image: &Reference,
    identities: &Identities,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let manifest = &identities.manifest;
    let mut entries = layout(image, manifest);
    let path = |digest: &Digest| digest.path();
    let layers: Vec<String> = manifest.blobs().skip(1).map(|layer| path(&layer.digest)).collect();
    let tags = match image.target() {
        Target::Tag(_) => vec![image.to_string()],
        // The older engines give no name with a digest.
        Target::Digest(_) => Vec::new(),
    };
    let docker = json!([{"Config": path(&identities.config), "Layers": layers, "RepoTags": tags}]);
    entries.push(Entry::Bytes("manifest.json".into(), docker.to_string().into()));
    let mut seen = std::collections::HashSet::new();
    let blobs = manifest.blobs().filter(|blob| seen.insert(blob.digest.clone()));
    entries.extend(blobs.map(|blob| Entry::Blob(blob.digest.clone(), blob.size)));
    archive(Arc::clone(content), entries)
}

/// A name for content that containerd has.
pub(super) fn name(
    content: &Arc<Content>,
    image: &Reference,
    top: &Manifest,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    archive(Arc::clone(content), layout(image, top))
}

fn layout(image: &Reference, manifest: &Manifest) -> Vec<Entry> {
    let descriptor = json!({
        "annotations": {"io.containerd.image.name": image.full()},
        "digest": manifest.digest.as_str(),
        "mediaType": manifest.media_type,
        "size": manifest.bytes.len(),
    });
    let index = json!({"manifests": [descriptor], "mediaType": image::INDEX, "schemaVersion": 2});
    let document = |name: &str, text: serde_json::Value| Entry::Bytes(name.into(), text.to_string().into());
    vec![
        document("oci-layout", json!({"imageLayoutVersion": "1.0.0"})),
        document("index.json", index),
        Entry::Bytes(manifest.digest.path(), manifest.bytes.clone()),
    ]
}

fn archive(
    content: Arc<Content>,
    entries: Vec<Entry>,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let files = stream::iter(entries).map(move |entry| Ok::<_, io::Error>(file(Arc::clone(&content), entry)));
    // Two empty blocks end an archive.
    let end = stream::iter([Ok(Bytes::from(vec![0; 2 * BLOCK as usize]))]);
    files.try_flatten().chain(end)
}

fn file(content: Arc<Content>, entry: Entry) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let (name, size) = match &entry {
        Entry::Bytes(name, bytes) => (name.clone(), bytes.len() as u64),
        Entry::Blob(digest, size) => (digest.path(), *size),
    };
    let mut header = tar::Header::new_ustar();
    let named = header.set_path(&name);
    header.set_mode(0o644);
    header.set_size(size);
    header.set_cksum();
    let head = named.map(|()| Bytes::copy_from_slice(header.as_bytes()));
    let padding = Bytes::from(vec![0; (size.next_multiple_of(BLOCK) - size) as usize]);
    let body = match entry {
        Entry::Bytes(_, bytes) => stream::iter([Ok(bytes)]).boxed(),
        Entry::Blob(digest, _) => pieces(content, digest, 0).boxed(),
    };
    stream::iter([head]).chain(body).chain(stream::iter([Ok(padding)]))
}

/// A blob's bytes from here on, once it is there.
pub(super) fn pieces(
    content: Arc<Content>,
    digest: Digest,
    begin: u64,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::try_unfold(begin, move |at| {
        let (content, digest) = (Arc::clone(&content), digest.clone());
        async move {
            let part = content.blob(&digest).await.map_err(io::Error::other)?;
            let mut buffer = vec![0; PIECE];
            let read = part.read_at(&mut buffer, at)?;
            buffer.truncate(read);
            Ok((read > 0).then(|| (Bytes::from(buffer), at + read as u64)))
        }
    })
}
