//! The layer: a tar archive with the binary alone.

use std::io::Write as _;

use flate2::{Compression, GzBuilder};

use super::{Blob, Digest};

/// Where the binary is in the image.
pub(super) const BINARY: &str = "ci-build-frontend";

/// Level 9 takes four times as long for half a percent less.
const LEVEL: u32 = 6;

/// A layer as it travels, and as it is when unpacked.
pub(super) struct Layer {
    pub(super) compressed: Blob,
    /// The digest of the archive before compression.
    pub(super) diff_id: Digest,
}

/// The layer with this binary, owned by root and older than anything.
pub(super) fn with_binary(binary: &[u8]) -> Layer {
    let archive = archive(binary);
    Layer { diff_id: Digest::of(&archive), compressed: Blob::new(gzip(&archive)) }
}

/// The digest of the layer with this binary before compression.
pub(super) fn diff_id(binary: &[u8]) -> Digest {
    Digest::of(&archive(binary))
}

fn archive(binary: &[u8]) -> Vec<u8> {
    tar(&[(BINARY, 0o755, binary)])
}

/// A tar archive of (path, mode, content), whose bytes depend on nothing else.
pub(super) fn tar(files: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, mode, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_mode(*mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(content.len() as u64);
        archive
            .append_data(&mut header, path, *content)
            .expect("our paths are short, and memory takes all writes");
    }
    archive.into_inner().expect("memory takes all writes")
}

/// gzip, which every engine loads. The header has no time, no name, and an unknown system (255).
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder =
        GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::new(LEVEL));
    encoder.write_all(bytes).expect("memory takes all writes");
    encoder.finish().expect("memory takes all writes")
}
