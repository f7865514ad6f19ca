//! What the engine is given of an image: manifests and blobs, each fetched once, on demand, and checked before anybody
//! sees a byte of it.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OnceCell, watch};

use crate::image::Digest;
use crate::registry::{Content as Points, Descriptor, Exhausted, Manifest, Part, Platform, Sources};
use crate::store::Spool;

/// The most that a manifest may have, in bytes.
const LONGEST_MANIFEST: u64 = 8 << 20;

/// The content of one image on its way.
#[derive(Debug)]
pub(super) struct Content {
    sources: Arc<Sources>,
    spool: Arc<Spool>,
    known: Mutex<Known>,
    failed: watch::Sender<Option<Failed>>,
}

#[derive(Debug, Default)]
struct Known {
    manifests: HashMap<Digest, Manifest>,
    sizes: HashMap<Digest, u64>,
    blobs: HashMap<Digest, Arc<OnceCell<Arc<Part>>>>,
    /// Which source each manifest and blob is from, in the order of their arrival.
    from: Vec<String>,
}

/// Why something of the image is not to be had.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failed {
    /// No source has it.
    #[error("{0}")]
    Exhausted(Exhausted),
    /// It cannot be kept here.
    #[error("cannot keep it in '{}': {error}", path.display())]
    Disk {
        /// Where.
        path: PathBuf,
        /// Why.
        error: Arc<io::Error>,
    },
    /// The index has no image for the platform.
    #[error("there is no image for {wanted}, only for {}", list(.has))]
    Platform {
        /// Which was asked for.
        wanted: Platform,
        /// Which there are.
        has: Vec<Platform>,
    },
    /// The engine asked for what belongs to no manifest that it was given.
    #[error("the engine asks for {0}, which is not of this image")]
    Unknown(Digest),
}

fn list(platforms: &[Platform]) -> String {
    let names: Vec<String> = platforms.iter().map(ToString::to_string).collect();
    if names.is_empty() { "nothing that runs".into() } else { names.join(", ") }
}

/// The digests by which engines know an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identities {
    /// What was asked for: an index or a manifest.
    pub(super) top: Digest,
    /// The manifest of the platform.
    pub(super) manifest: Manifest,
    /// The configuration.
    pub(super) config: Digest,
}

impl Identities {
    /// Whether an engine's id means this image.
    pub(super) fn has(&self, id: &str) -> bool {
        self.all().contains(&id)
    }

    pub(super) fn all(&self) -> [&str; 3] {
        [self.config.as_str(), self.top.as_str(), self.manifest.digest.as_str()]
    }
}

impl Content {
    /// The content from these sources, kept there for as long as it is on its way.
    pub(super) fn new(sources: Arc<Sources>, spool: Arc<Spool>) -> Self {
        Self { sources, spool, known: Mutex::default(), failed: watch::Sender::new(None) }
    }

    /// Ends when something is not to be had.
    pub(super) async fn failure(&self) -> Failed {
        let mut failed = self.failed.subscribe();
        let told = failed.wait_for(Option::is_some).await.ok().and_then(|told| told.clone());
        match told {
            Some(failed) => failed,
            // The sender is ours: it lives as long as we do.
            None => std::future::pending().await,
        }
    }

    /// Which sources all of it was from, each once.
    pub(super) fn from(&self) -> Vec<String> {
        let mut from: Vec<String> = Vec::new();
        for name in &self.known().from {
            if !from.contains(name) {
                from.push(name.clone());
            }
        }
        from
    }

    /// Fetches what an image is made of, but not the blobs.
    pub(super) async fn identities(&self, top: &Digest, wanted: &Platform) -> Result<Identities, Failed> {
        let manifest = self.manifest(top).await?;
        let manifest = match &manifest.content {
            Points::Image { .. } => manifest,
            Points::Index(manifests) => {
                let has = manifests.iter().filter_map(|manifest| manifest.platform.clone());
                let is_wanted = |manifest: &&Descriptor| {
                    manifest.platform.as_ref().is_some_and(|platform| platform.is(wanted))
                };
                let Some(child) = manifests.iter().find(is_wanted) else {
                    let has = has.filter(|platform| platform.os != "unknown").collect();
                    return Err(Failed::Platform { wanted: wanted.clone(), has });
                };
                self.manifest(&child.digest).await?
            }
        };
        let config = match &manifest.content {
            Points::Image { config, .. } => config.digest.clone(),
            Points::Index(_) => return Err(Failed::Platform { wanted: wanted.clone(), has: Vec::new() }),
        };
        Ok(Identities { top: top.clone(), manifest, config })
    }

    /// A manifest: as an earlier run of a neighbour left it, or from a source.
    pub(super) async fn manifest(&self, digest: &Digest) -> Result<Manifest, Failed> {
        let known = self.known().manifests.get(digest).cloned();
        if let Some(manifest) = known.or_else(|| self.kept(digest)) {
            self.know(&manifest, None);
            return Ok(manifest);
        }
        let (manifest, source) =
            self.sources.manifest(digest).await.map_err(|error| self.fail(Failed::Exhausted(error)))?;
        self.know(&manifest, Some(&source.name));
        // Who comes next asks nobody. It is no loss where the disk refuses: blobs will tell.
        let _ = self.spool.keep(digest.hex(), &manifest.bytes);
        Ok(manifest)
    }

    /// A blob, whole and checked.
    pub(super) async fn blob(&self, digest: &Digest) -> Result<Arc<Part>, Failed> {
        let (cell, size) = {
            let mut known = self.known();
            let size = known.sizes.get(digest).copied();
            (Arc::clone(known.blobs.entry(digest.clone()).or_default()), size)
        };
        let size = size.ok_or_else(|| Failed::Unknown(digest.clone()))?;
        let fetch = || async {
            let refused = |error| Failed::Disk { path: self.spool.path().into(), error: Arc::new(error) };
            let mut part = self.spool.file(digest.hex()).and_then(Part::of).map_err(refused)?;
            let source = self.sources.blob(digest, size, &mut part).await.map_err(Failed::Exhausted)?;
            self.known().from.push(source.name.clone());
            Ok(Arc::new(part))
        };
        let part = cell.get_or_try_init(fetch).await;
        part.cloned().map_err(|failed| self.fail(failed))
    }

    /// How many bytes a blob has, where a manifest told.
    pub(super) fn size(&self, digest: &Digest) -> Option<u64> {
        self.known().sizes.get(digest).copied()
    }

    fn kept(&self, digest: &Digest) -> Option<Manifest> {
        let bytes = self.spool.read(digest.hex(), LONGEST_MANIFEST)?;
        Manifest::read(bytes.into(), None).ok().filter(|manifest| manifest.digest == *digest)
    }

    fn know(&self, manifest: &Manifest, source: Option<&str>) {
        let mut known = self.known();
        known.sizes.extend(manifest.blobs().map(|blob| (blob.digest.clone(), blob.size)));
        known.from.extend(source.map(str::to_owned));
        known.manifests.insert(manifest.digest.clone(), manifest.clone());
    }

    fn fail(&self, failed: Failed) -> Failed {
        self.failed.send_replace(Some(failed.clone()));
        failed
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // No state that a panic could leave is worse than another.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
