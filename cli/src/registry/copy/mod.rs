//! Copying images from registry to registry: blobs before their manifest, manifests before the index that has them, and
//! the tag last, so that whoever asks for a tag finds all of it. What is there is not sent again.

mod referrers;
mod upload;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use reqwest::Method;
use reqwest::header;

use self::upload::Source;
use super::client::{Ask, Client};
use super::failure::Failure;
use super::fetch::{Event, Tried, Watch};
use super::manifest::{Descriptor, Manifest};
use super::probe::Limits;
use super::reference::Target;
use super::retry::Retry;
use crate::error::{Blame, Explain};
use crate::image::{Digest, Image, MANIFEST};

/// A repository in a registry.
#[derive(Debug, Clone, Copy)]
pub struct Repository<'a> {
    /// The registry.
    pub client: &'a Client,
    /// Its name there.
    pub name: &'a str,
}

/// How images are copied.
#[derive(Debug)]
pub struct Copier {
    retry: Retry,
    pub(super) limits: Limits,
    /// How many blobs at once.
    jobs: usize,
    watch: Watch,
    /// A repository of the destination that has the blob, by its digest: others can take it from there.
    known: Mutex<HashMap<Digest, String>>,
    count: Count,
}

/// What was done, in blobs and bytes.
#[derive(Debug, Default)]
struct Count {
    sent: AtomicU64,
    mounted: AtomicU64,
    there: AtomicU64,
    bytes: AtomicU64,
}

/// What was done, in blobs and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    /// Blobs that were sent.
    pub sent: u64,
    /// Blobs that the destination took from another of its repositories.
    pub mounted: u64,
    /// Blobs that were there.
    pub there: u64,
    /// Bytes that were sent.
    pub bytes: u64,
}

/// Why something was not copied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{registry}: {what}: {failure}")]
pub struct CopyError {
    /// Which of the two registries failed.
    pub registry: String,
    /// What it was asked for.
    pub what: String,
    /// Why it failed.
    pub failure: Failure,
}

impl Explain for CopyError {
    fn blame(&self) -> Blame {
        Blame::Surroundings
    }
    fn help(&self) -> Vec<String> {
        match self.failure {
            Failure::Status { code: 401 | 403, .. } => {
                vec![format!("`docker login {}` keeps the credentials to use", self.registry)]
            }
            Failure::Tls(_) => vec!["--insecure takes any certificate, and a registry without TLS".into()],
            _ => Vec::new(),
        }
    }
}

/// An image that the destination has now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// What it is known by.
    pub digest: Digest,
    /// Whether the tag pointed there before.
    pub was_there: bool,
    /// How many artifacts that say something about it were copied with it.
    pub referrers: usize,
}

impl Copier {
    /// Copies with these limits, so many blobs at once.
    pub fn new(retry: Retry, limits: Limits, jobs: usize, watch: Watch) -> Self {
        Self { retry, limits, jobs: jobs.max(1), watch, known: Mutex::default(), count: Count::default() }
    }

    /// How many things are done at once.
    pub(super) fn jobs(&self) -> usize {
        self.jobs
    }

    /// What was done until now.
    pub fn sum(&self) -> Sum {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Count { sent, mounted, there, bytes } = &self.count;
        Sum { sent: get(sent), mounted: get(mounted), there: get(there), bytes: get(bytes) }
    }

    /// Copies an image or an index with all that it needs and all that refers to it, and gives it the tag, if any.
    ///
    /// # Errors
    /// When a registry fails for good. What is there by then stays, and the next time it is gone on from there.
    pub async fn copy(
        &self,
        from: Repository<'_>,
        to: Repository<'_>,
        target: &Target,
        tag: Option<&str>,
    ) -> Result<Copied, CopyError> {
        let top = self.manifest(from, target).await?;
        let was_there = match tag {
            Some(tag) => self.resolve(to, tag).await?.as_ref() == Some(&top.digest),
            None => self.has_manifest(to, &top.digest).await?,
        };
        if !was_there {
            self.tree(from, to, &top, tag).await?;
        }
        let referrers = self.referrers(from, to, &top).await?;
        Ok(Copied { digest: top.digest, was_there, referrers })
    }

    /// Sends an image that is here: what the registry lacks of it, and the manifest last.
    ///
    /// # Errors
    /// When the registry fails for good.
    pub async fn push(&self, image: &Image, to: Repository<'_>, tag: &str) -> Result<(), CopyError> {
        for blob in [&image.layer, &image.config] {
            let bytes = Bytes::from(blob.bytes.clone());
            self.blob(Source::Memory(&bytes), to, &blob.digest, bytes.len() as u64).await?;
        }
        let manifest = Manifest::read(image.manifest.bytes.clone().into(), Some(MANIFEST));
        let manifest = manifest.map_err(|failure| CopyError {
            registry: to.client.address().host.clone(),
            what: format!("manifest {tag}"),
            failure,
        })?;
        self.put(to, &manifest, Some(tag)).await.map(drop)
    }

    /// What a manifest needs, and then the manifest itself.
    fn tree<'a>(
        &'a self,
        from: Repository<'a>,
        to: Repository<'a>,
        manifest: &'a Manifest,
        tag: Option<&'a str>,
    ) -> LocalBoxFuture<'a, Result<(), CopyError>> {
        async move {
            for child in manifest.children() {
                // Whoever took a manifest had all that it needs.
                if !self.has_manifest(to, &child.digest).await? {
                    let child = self.manifest(from, &Target::Digest(child.digest.clone())).await?;
                    self.tree(from, to, &child, None).await?;
                }
            }
            let mut seen = HashSet::new();
            let blobs = manifest.blobs().filter(|blob| seen.insert(&blob.digest));
            let blobs: Vec<&Descriptor> = blobs.collect();
            let from = Source::Registry(from);
            let copies = blobs.into_iter().map(|blob| self.blob(from, to, &blob.digest, blob.size));
            stream::iter(copies).buffer_unordered(self.jobs).try_collect::<()>().await?;
            self.put(to, manifest, tag).await.map(drop)
        }
        .boxed_local()
    }

    /// Sends a manifest, and tells whether the registry keeps the list of what refers to its subject.
    async fn put(
        &self,
        to: Repository<'_>,
        manifest: &Manifest,
        tag: Option<&str>,
    ) -> Result<bool, CopyError> {
        let name = tag.unwrap_or(manifest.digest.as_str());
        let response = self
            .patiently(
                to.client,
                || format!("manifest {name}"),
                async || {
                    let mut ask = Ask::to_write(Method::PUT, to.name, &format!("manifests/{name}"))
                        .header(header::CONTENT_TYPE, &manifest.media_type);
                    ask.body = Some(manifest.bytes.clone().into());
                    to.client.send(ask, self.limits).await
                },
            )
            .await?;
        Ok(response.headers().contains_key("oci-subject"))
    }

    pub(super) async fn manifest(
        &self,
        from: Repository<'_>,
        target: &Target,
    ) -> Result<Manifest, CopyError> {
        let get = async || from.client.manifest(from.name, target, self.limits).await;
        self.patiently(from.client, || format!("manifest {}{target}", from.name), get).await
    }

    /// What a tag points to; none where there is no such tag.
    pub(super) async fn resolve(
        &self,
        repository: Repository<'_>,
        tag: &str,
    ) -> Result<Option<Digest>, CopyError> {
        let resolve = async || match repository.client.resolve(repository.name, tag, self.limits).await {
            Err(failure) if failure.is_absence() => Ok(None),
            resolved => resolved,
        };
        self.patiently(repository.client, || format!("tag {}:{tag}", repository.name), resolve).await
    }

    async fn has_manifest(&self, repository: Repository<'_>, digest: &Digest) -> Result<bool, CopyError> {
        self.has(repository, &format!("manifests/{digest}")).await
    }

    /// Whether there is something at this path.
    async fn has(&self, repository: Repository<'_>, path: &str) -> Result<bool, CopyError> {
        let look = async || {
            let mut ask = Ask::to_read(Method::HEAD, repository.name, path);
            if path.starts_with("manifests/") {
                ask = ask.header(header::ACCEPT, super::manifest::ACCEPTED);
            }
            match repository.client.send(ask, self.limits).await {
                Ok(_) => Ok(true),
                Err(failure) if failure.is_absence() => Ok(false),
                Err(failure) => Err(failure),
            }
        };
        self.patiently(repository.client, || format!("{}/{path}", repository.name), look).await
    }

    /// Does something again and again, as long as it can succeed.
    pub(super) async fn patiently<T>(
        &self,
        client: &Client,
        what: impl Fn() -> String,
        attempt: impl AsyncFn() -> Result<T, Failure>,
    ) -> Result<T, CopyError> {
        let mut failures = 0;
        loop {
            let failure = match attempt().await {
                Ok(done) => return Ok(done),
                Err(failure) => failure,
            };
            self.pause(&client.address().host, &what(), failure, &mut failures).await?;
        }
    }

    /// Waits for as long as the failure asks for.
    async fn pause(
        &self,
        registry: &str,
        what: &str,
        failure: Failure,
        failures: &mut u32,
    ) -> Result<(), CopyError> {
        let registry = registry.to_owned();
        let Some(pause) = self.retry.after(&failure, *failures, fastrand::f64()) else {
            return Err(CopyError { registry, what: what.into(), failure });
        };
        *failures += 1;
        self.watch.tell(Event::Failed(&Tried { source: registry, what: what.into(), failure }));
        tokio::time::sleep(pause).await;
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Digest, String>> {
        // No state that a panic could leave is worse than another.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
