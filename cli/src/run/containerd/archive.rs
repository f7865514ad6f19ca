//! An image in a tar file: an OCI image layout (image-layout.md of the specification, 1.1). Read in place, never unpacked.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Take};
use std::path::Path;

use super::Error;
use crate::image::Digest;
use crate::registry::{Content, Descriptor, Manifest, Platform};

/// A document of an image that is longer is somebody's joke.
pub(super) const LONGEST: u64 = 4 << 20;

/// Indexes in indexes in indexes are as deep as this, and no deeper.
const DEEPEST: usize = 4;

/// An open archive.
#[derive(Debug)]
pub(super) struct Archive {
    file: File,
    /// Where each file of it starts, and how long it is.
    files: HashMap<String, (u64, u64)>,
}

/// An image in it.
#[derive(Debug)]
pub(super) struct Archived {
    /// What it is called, where it says so.
    pub(super) name: Option<String>,
    /// Its configuration.
    pub(super) config: Vec<u8>,
    /// Its layers, the lowest first.
    pub(super) layers: Vec<Descriptor>,
}

/// Where containerd, and then where the specification, has an image's name.
const NAMES: [&str; 2] = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];

impl Archive {
    /// Opens it: one walk over its headers.
    ///
    /// # Errors
    /// When it is no tar file.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        Self::index(path).map_err(|source| Error::Archive { path: path.into(), source })
    }

    fn index(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let mut files = HashMap::new();
        for entry in tar::Archive::new(&file).entries_with_seek()? {
            let entry = entry?;
            if entry.header().entry_type().is_file() {
                let name = entry.path()?.to_string_lossy().trim_start_matches("./").to_owned();
                files.insert(name, (entry.raw_file_position(), entry.size()));
            }
        }
        Ok(Self { file, files })
    }

    /// The only image for this platform in it.
    ///
    /// # Errors
    /// When there is none or more than one, or it is malformed.
    pub(super) fn image(&self, path: &Path, platform: &Platform) -> Result<Archived, Error> {
        let shown = path.display().to_string();
        let wrong = |source| Error::Archive { path: path.into(), source };
        let index = self.document("index.json").map_err(wrong)?;
        let name = names(&index);
        let (mut found, mut seen): (Vec<Manifest>, HashSet<Digest>) = Default::default();
        let index = read(index).map_err(wrong)?;
        self.descend(&index, platform, DEEPEST, &mut seen, &mut found).map_err(wrong)?;
        let manifest = match found.as_slice() {
            [] => return Err(Error::Platform { image: shown, platform: platform.to_string() }),
            [manifest] => manifest,
            _ => return Err(wrong(io::Error::other("it has several images, and only one can run"))),
        };
        let Content::Image { config, layers } = &manifest.content else {
            return Err(wrong(io::Error::other("it has no image")));
        };
        let config =
            self.blob(&config.digest).and_then(|blob| checked(blob, &config.digest)).map_err(wrong)?;
        Ok(Archived { name, config, layers: layers.clone() })
    }

    /// The manifests for this platform in an index, and in those in it. Each is read once, however often it is named: else the
    /// work would grow with the power of the depth.
    fn descend(
        &self,
        index: &Manifest,
        platform: &Platform,
        depth: usize,
        seen: &mut HashSet<Digest>,
        found: &mut Vec<Manifest>,
    ) -> io::Result<()> {
        for child in index.children() {
            if child.platform.as_ref().is_some_and(|of_child| !of_child.is(platform)) {
                continue;
            }
            if !seen.insert(child.digest.clone()) {
                continue;
            }
            // What is for another platform need not be in the archive.
            let Some(blob) = self.blob_if_there(&child.digest)? else { continue };
            let manifest = read(checked(blob, &child.digest)?)?;
            match &manifest.content {
                Content::Image { .. } => found.push(manifest),
                Content::Index(_) if depth > 0 => {
                    self.descend(&manifest, platform, depth - 1, seen, found)?
                }
                Content::Index(_) => return Err(io::Error::other("its indexes are nested too deeply")),
            }
        }
        Ok(())
    }

    /// The bytes of a blob, from its first.
    ///
    /// # Errors
    /// When it is not in the archive.
    pub(super) fn blob(&self, digest: &Digest) -> io::Result<Take<File>> {
        let missing = || io::Error::other(format!("it lacks {}", digest.path()));
        self.blob_if_there(digest)?.ok_or_else(missing)
    }

    fn blob_if_there(&self, digest: &Digest) -> io::Result<Option<Take<File>>> {
        self.open_file(&digest.path())
    }

    /// The file is the archive's own, so one is read at a time.
    fn open_file(&self, name: &str) -> io::Result<Option<Take<File>>> {
        let Some((start, length)) = self.files.get(name) else { return Ok(None) };
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(*start))?;
        Ok(Some(file.take(*length)))
    }

    fn document(&self, name: &str) -> io::Result<Vec<u8>> {
        let missing = || io::Error::other(format!("it has no {name}, so it is no OCI image layout"));
        bounded(self.open_file(name)?.ok_or_else(missing)?)
    }
}

fn read(bytes: Vec<u8>) -> io::Result<Manifest> {
    Manifest::read(bytes.into(), None).map_err(|failure| io::Error::other(failure.to_string()))
}

fn bounded(mut file: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.by_ref().take(LONGEST + 1).read_to_end(&mut bytes)?;
    let is_too_long = bytes.len() as u64 > LONGEST;
    if is_too_long { Err(io::Error::other("a document in it is too long")) } else { Ok(bytes) }
}

fn checked(file: impl Read, digest: &Digest) -> io::Result<Vec<u8>> {
    let bytes = bounded(file)?;
    let is_it = Digest::of(&bytes) == *digest;
    if is_it { Ok(bytes) } else { Err(io::Error::other(format!("{digest} in it is something else"))) }
}

/// What the images of an index are called, where that is one name.
fn names(index: &[u8]) -> Option<String> {
    let index: serde_json::Value = serde_json::from_slice(index).ok()?;
    let annotations = index["manifests"].as_array()?.iter().map(|manifest| &manifest["annotations"]);
    let name = |of: &serde_json::Value| NAMES.iter().find_map(|name| of[*name].as_str().map(str::to_owned));
    annotations.filter_map(name).next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    struct Layout(Vec<(String, Vec<u8>)>);

    impl Layout {
        fn add(&mut self, bytes: Vec<u8>, more: Value) -> Value {
            let digest = Digest::of(&bytes);
            let mut described = json!({ "digest": digest.as_str(), "size": bytes.len() });
            let more = more.as_object().cloned().unwrap_or_default();
            described.as_object_mut().unwrap().extend(more);
            self.0.push((digest.path(), bytes));
            described
        }

        fn image(&mut self, number: u64, more: Value) -> Value {
            let config = self.add(json!({ "number": number }).to_string().into_bytes(), json!({}));
            let layer =
                self.add(vec![b'x'; 700], json!({"mediaType": "application/vnd.oci.image.layer.v1.tar"}));
            self.add(json!({ "config": config, "layers": [layer] }).to_string().into_bytes(), more)
        }

        fn archive(mut self, index: Vec<Value>) -> tempfile::NamedTempFile {
            self.0.push(("index.json".into(), json!({ "manifests": index }).to_string().into_bytes()));
            let file = tempfile::NamedTempFile::new().unwrap();
            let mut archive = tar::Builder::new(file.as_file());
            for (path, bytes) in &self.0 {
                let mut header = tar::Header::new_ustar();
                header.set_size(bytes.len() as u64);
                archive.append_data(&mut header, format!("./{path}"), bytes.as_slice()).unwrap();
            }
            archive.finish().unwrap();
            drop(archive);
            file
        }
    }

    fn open(file: &tempfile::NamedTempFile) -> Result<Archived, Error> {
        Archive::open(file.path())?.image(file.path(), &"linux/amd64".parse().unwrap())
    }

    #[test]
    fn the_image_for_the_platform_is_found() {
        let mut layout = Layout(Vec::new());
        let platform =
            |architecture: &str| json!({"platform": {"os": "linux", "architecture": architecture}});
        let here = layout.image(1, platform("amd64"));
        let there = layout.image(2, platform("arm64"));
        let inner = json!({ "manifests": [there, here] }).to_string().into_bytes();
        let outer = layout.add(inner, json!({"annotations": {"io.containerd.image.name": "a/b:1"}}));
        let file = layout.archive(vec![outer]);
        let found = open(&file).unwrap();
        assert_eq!((found.name.as_deref(), found.layers.len()), (Some("a/b:1"), 1));
        assert_eq!(found.config, br#"{"number":1}"#);
        let archive = Archive::open(file.path()).unwrap();
        let mut layer = Vec::new();
        archive.blob(&found.layers[0].digest).unwrap().read_to_end(&mut layer).unwrap();
        assert_eq!(layer, [b'x'; 700]);
    }

    /// Read as often as named, these would be 300 to the power of four.
    #[test]
    fn what_is_named_again_and_again_is_read_once() {
        let mut layout = Layout(Vec::new());
        let mut child = layout.image(1, json!({}));
        for _ in 0..DEEPEST {
            let index = json!({ "manifests": vec![child; 300] }).to_string().into_bytes();
            child = layout.add(index, json!({}));
        }
        assert_eq!(open(&layout.archive(vec![child; 300])).unwrap().layers.len(), 1);
    }

    #[test]
    fn what_cannot_be_run_is_told() {
        let why = |file: &tempfile::NamedTempFile| {
            let error = open(file).unwrap_err();
            crate::error::with_cause(&error).replace(&file.path().display().to_string(), "FILE")
        };
        let mut two = Layout(Vec::new());
        let images = vec![two.image(1, json!({})), two.image(2, json!({}))];
        insta::assert_snapshot!(why(&two.archive(images)), @"cannot read the image in FILE: it has several images, and only one can run");
        let mut deep = Layout(Vec::new());
        let mut index = deep.image(1, json!({}));
        for _ in 0..=DEEPEST + 1 {
            index = deep.add(json!({ "manifests": [index] }).to_string().into_bytes(), json!({}));
        }
        insta::assert_snapshot!(why(&deep.archive(vec![index])), @"cannot read the image in FILE: its indexes are nested too deeply");
        let mut other = Layout(Vec::new());
        let image = other.image(1, json!({"platform": {"os": "linux", "architecture": "arm64"}}));
        insta::assert_snapshot!(why(&other.archive(vec![image])), @"'FILE' is not for linux/amd64");
        let mut lying = Layout(Vec::new());
        let image = lying.image(1, json!({}));
        lying.0[0].1 = b"{}".to_vec();
        assert!(why(&lying.archive(vec![image])).contains("in it is something else"));
        let file = tempfile::NamedTempFile::new().unwrap();
        insta::assert_snapshot!(why(&file), @"cannot read the image in FILE: it has no index.json, so it is no OCI image layout");
    }
}
