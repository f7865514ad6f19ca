//! The image of a run as layers in the snapshotter: those that are missing are unpacked, under the run's lease.

use std::cell::Cell;

use super::archive::{Archive, LONGEST};
use super::config::Config;
use super::names::Names;
use super::{Asked, Error, Source};
use crate::engine::containerd::{Containerd, Descriptor, Error as EngineError, Labels, Resource, WriteError};
use crate::failpoint;
use crate::image::ImageName;
use crate::registry::{self, Content, Manifest, Platform};

/// An image whose layers are there for as long as the lease is.
#[derive(Debug)]
pub(super) struct Unpacked {
    /// What it is called.
    pub(super) name: String,
    /// What it says of itself.
    pub(super) config: Config,
    /// The name of its topmost layer; empty where it has none.
    pub(super) top: String,
}

/// Where the layers of an image are unpacked.
pub(super) struct Unpacking<'a> {
    /// With the run's lease.
    pub(super) engine: &'a Containerd,
    pub(super) names: &'a Names,
    pub(super) asked: &'a Asked,
    pub(super) labels: &'a Labels,
    /// Whether the caller wants nothing any more.
    pub(super) is_over: &'a Cell<bool>,
}

/// Why an image is not unpacked.
pub(super) enum Unmade {
    /// It cannot be.
    Failed(Error),
    /// Nobody wants it any more.
    Over,
}

impl From<Error> for Unmade {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<EngineError> for Unmade {
    fn from(error: EngineError) -> Self {
        Self::Failed(error.into())
    }
}

impl Unpacking<'_> {
    pub(super) async fn image(&self) -> Result<Unpacked, Unmade> {
        match &self.asked.source {
            Source::Engine(name) => self.of_engine(name).await,
            Source::Archive(path) => {
                let archive = Archive::open(path)?;
                let image = archive.image(path, &platform())?;
                let name = image.name.clone().unwrap_or_else(|| path.display().to_string());
                let config = read_config(&name, &image.config)?;
                let (top, _) = self.layers(&name, &config, &image.layers, Some(&archive)).await?;
                Ok(Unpacked { name, config, top })
            }
        }
    }

    async fn of_engine(&self, asked: &str) -> Result<Unpacked, Unmade> {
        let (name, target) = self.find(asked).await?;
        let mut manifest = self.manifest(&name, &target.digest).await?;
        if let Content::Index(_) = manifest.content {
            let wanted = platform();
            let is_ours =
                |child: &&registry::Descriptor| child.platform.as_ref().is_some_and(|of| of.is(&wanted));
            let child = manifest.children().iter().find(is_ours);
            let missing = || Error::Platform { image: name.clone(), platform: wanted.to_string() };
            let digest = child.ok_or_else(missing)?.digest.to_string();
            manifest = self.manifest(&name, &digest).await?;
        }
        let Content::Image { config: of_config, layers } = &manifest.content else {
            return Err(malformed(&name, "an index in an index").into());
        };
        let config = self.engine.read(of_config.digest.as_str(), LONGEST as usize).await?;
        let config = read_config(&name, &config)?;
        let (top, is_new) = self.layers(&name, &config, layers, None).await?;
        if is_new {
            // From now on the layers belong to the image, as if `ctr` had unpacked them.
            let label = format!("containerd.io/gc.ref.snapshot.{}", self.asked.snapshotter);
            self.engine.label_content(of_config.digest.as_str(), &label, &top).await?;
        }
        Ok(Unpacked { name, config, top })
    }

    /// The image by its name as it is given, else as docker would complete it.
    async fn find(&self, asked: &str) -> Result<(String, Descriptor), Error> {
        let full = asked.parse::<ImageName>().map(|name| name.full()).ok();
        for name in [Some(asked.to_owned()), full].into_iter().flatten() {
            if let Some(target) = self.engine.image(&name).await? {
                return Ok((name, target));
            }
        }
        Err(Error::NoImage(asked.into()))
    }

    async fn manifest(&self, name: &str, digest: &str) -> Result<Manifest, Error> {
        let bytes = self.engine.read(digest, LONGEST as usize).await?;
        Manifest::read(bytes.into(), None).map_err(|failure| malformed(name, &failure.to_string()))
    }

    /// Has all layers unpacked, and gives the topmost one's name, and whether some were not. Those that are there already
    /// are leased.
    async fn layers(
        &self,
        image: &str,
        config: &Config,
        layers: &[registry::Descriptor],
        archive: Option<&Archive>,
    ) -> Result<(String, bool), Unmade> {
        let chain = config.chain();
        if layers.len() != chain.len() {
            return Err(malformed(image, "it has another number of layers than it says").into());
        }
        let mut first = chain.len();
        while let Some(below) = first.checked_sub(1) {
            if self.leases_layer(&chain[below]).await? {
                break;
            }
            first = below;
        }
        for number in first..chain.len() {
            if self.is_over.get() {
                return Err(Unmade::Over);
            }
            let layer = wire(&layers[number]);
            if let Some(archive) = archive {
                self.ingest(&layer, archive, &layers[number]).await?;
            }
            let parent = number.checked_sub(1).map_or("", |below| chain[below].as_str());
            let unpacked = config.layers()[number].as_str();
            self.unpack(image, layer, number, parent, &chain[number], unpacked).await?;
        }
        Ok((chain.last().cloned().unwrap_or_default(), first < chain.len()))
    }

    /// Whether there is a layer of this name; from then on it stays for as long as the lease.
    async fn leases_layer(&self, name: &str) -> Result<bool, Error> {
        let kind = format!("snapshots/{}", self.asked.snapshotter);
        self.engine.add_to_lease(&self.names.id(), Resource { id: name.into(), kind }).await?;
        Ok(self.engine.snapshot(&self.asked.snapshotter, name).await?.is_some())
    }

    async fn ingest(
        &self,
        layer: &Descriptor,
        archive: &Archive,
        digest: &registry::Descriptor,
    ) -> Result<(), Error> {
        let Source::Archive(path) = &self.asked.source else { return Ok(()) };
        let unreadable = |source| Error::Archive { path: path.clone(), source };
        let bytes = archive.blob(&digest.digest).map_err(unreadable)?;
        failpoint::reach("containerd.writing");
        let written = self.engine.write(&self.names.ingest(&layer.digest), layer, bytes).await;
        failpoint::reach("containerd.written");
        written.map_err(|error| match error {
            WriteError::Engine(error) => error.into(),
            WriteError::Source(source) => unreadable(source),
        })
    }

    async fn unpack(
        &self,
        image: &str,
        layer: Descriptor,
        number: usize,
        parent: &str,
        name: &str,
        unpacked: &str,
    ) -> Result<(), Error> {
        let (snapshotter, key) = (self.asked.snapshotter.as_str(), self.names.extraction(number));
        let mounts = self.engine.prepare_snapshot(snapshotter, &key, parent, self.labels.clone()).await?;
        failpoint::reach("containerd.unpacking");
        let digest = self.engine.apply(layer, mounts).await?;
        failpoint::reach("containerd.applied");
        if digest != unpacked {
            return Err(malformed(image, &format!("layer {number} unpacks to {digest}, not to {unpacked}")));
        }
        match self.engine.commit_snapshot(snapshotter, name, &key).await {
            // Somebody else unpacks the same image, and was quicker.
            Err(error) if error.is_already_there() => self.engine.remove_snapshot(snapshotter, &key).await?,
            committed => committed?,
        }
        failpoint::reach("containerd.unpacked");
        Ok(())
    }
}

fn malformed(image: &str, why: &str) -> Error {
    Error::Malformed { image: image.into(), why: why.into() }
}

fn read_config(image: &str, bytes: &[u8]) -> Result<Config, Error> {
    serde_json::from_slice(bytes).map_err(|error| malformed(image, &format!("its configuration: {error}")))
}

fn wire(descriptor: &registry::Descriptor) -> Descriptor {
    let size = i64::try_from(descriptor.size).unwrap_or(i64::MAX);
    Descriptor { media_type: descriptor.media_type.clone(), digest: descriptor.digest.to_string(), size }
}

/// What this machine runs, in the words of images.
fn platform() -> Platform {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        other => other,
    };
    Platform { os: "linux".into(), architecture: architecture.into(), variant: None }
}
