//! Getting manifests and blobs from whichever source has them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use reqwest::StatusCode;
use reqwest::header::CONTENT_RANGE;

use super::client::Client;
use super::failure::Failure;
use super::manifest::Manifest;
use super::part::Part;
use super::probe::{Limits, Probe};
use super::reference::Target;
use super::retry::Retry;
use super::source::Source;
use super::walk::{Step, Walk};
use crate::image::Digest;

/// The sources of one image, and what became of them.
#[derive(Debug)]
pub struct Sources {
    candidates: Vec<Candidate>,
    retry: Retry,
    tries: Mutex<Vec<Tried>>,
    watch: Watch,
}

#[derive(Debug)]
struct Candidate {
    source: Source,
    client: Client,
    /// All that came from it.
    received: AtomicU64,
    is_slow: AtomicBool,
}

/// One thing that a source did not give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The source's name.
    pub source: String,
    /// What it was asked for.
    pub what: String,
    /// Why it did not.
    pub failure: Failure,
}

/// What happens while an image is fetched.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A source did not give what it was asked for.
    Failed(&'a Tried),
    /// A blob of this many bytes is being fetched.
    Began(&'a Digest, u64),
    /// So many bytes of a blob came.
    Bytes(&'a Digest, u64),
    /// So many bytes of a blob are there, and no more: some were of no use.
    Has(&'a Digest, u64),
    /// A blob is there, from this source.
    Done(&'a Digest, &'a str),
}

/// Who is told of what happens.
#[derive(Clone)]
pub struct Watch(Arc<dyn Fn(Event) + Send + Sync>);

/// Nobody had it. Each source's last failure is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exhausted {
    /// What was asked for.
    pub what: String,
    /// Each source that was asked, in the order of the chain, and its last failure.
    pub tried: Vec<Tried>,
}

impl Watch {
    /// Tells this function.
    pub fn new(tell: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }
    pub(super) fn tell(&self, event: Event) {
        (self.0)(event);
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watch")
    }
}

impl std::fmt::Display for Exhausted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no source gave the {}", self.what)?;
        for (place, tried) in self.tried.iter().enumerate() {
            write!(f, "{}{}: {}", if place == 0 { ": " } else { "; " }, tried.source, tried.failure)?;
        }
        Ok(())
    }
}

impl std::error::Error for Exhausted {}

impl Exhausted {
    /// Whether a source wants to know who asks.
    pub fn is_denied(&self) -> bool {
        self.tried.iter().any(|tried| matches!(tried.failure, Failure::Status { code: 401 | 403, .. }))
    }
}

impl Sources {
    /// The sources of a chain. Nothing is sent yet.
    pub fn new(chain: Vec<Source>, retry: Retry, watch: Watch) -> Self {
        let candidate = |source: Source| Candidate {
            client: Client::new(source.address.clone(), source.insecure),
            source,
            received: AtomicU64::new(0),
            is_slow: AtomicBool::new(false),
        };
        let candidates = chain.into_iter().map(candidate).collect();
        Self { candidates, retry, tries: Mutex::default(), watch }
    }

    /// All that the sources did not give until now.
    pub fn tried(&self) -> Vec<Tried> {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The names of the sources, and their clients.
    pub fn clients(&self) -> impl Iterator<Item = (&str, &Client)> {
        self.candidates.iter().map(|candidate| (candidate.source.name.as_str(), &candidate.client))
    }

    /// What a tag points to, and which source says so. Where the origin alone may say, mirrors are not asked.
    ///
    /// # Errors
    /// When nobody says.
    pub async fn resolve(&self, tag: &str, only_origin: bool) -> Result<(Digest, &Source), Exhausted> {
        let mut asking = self.asking(format!("tag '{tag}'"), only_origin);
        while let Some((place, candidate, limits)) = asking.next().await {
            let Candidate { source, client, .. } = candidate;
            let answer = async {
                match client.resolve(&source.repository, tag, limits).await? {
                    Some(digest) => Ok(digest),
                    // It does not tell without giving the manifest itself.
                    None => {
                        let target = Target::Tag(tag.into());
                        Ok(client.manifest(&source.repository, &target, limits).await?.digest)
                    }
                }
            };
            match answer.await {
                Ok(digest) => return Ok((digest, source)),
                Err(failure) => asking.failed(place, failure),
            }
        }
        Err(asking.exhausted())
    }

    /// A manifest, and which source it is from.
    ///
    /// # Errors
    /// When nobody gives it.
    pub async fn manifest(&self, digest: &Digest) -> Result<(Manifest, &Source), Exhausted> {
        let mut asking = self.asking(format!("manifest {digest}"), false);
        let target = Target::Digest(digest.clone());
        while let Some((place, Candidate { source, client, .. }, limits)) = asking.next().await {
            match client.manifest(&source.repository, &target, limits).await {
                Ok(manifest) => return Ok((manifest, source)),
                Err(failure) => asking.failed(place, failure),
            }
        }
        Err(asking.exhausted())
    }

    /// Fills the part with the rest of a blob, and gives the source that it is from, the last if there are several.
    ///
    /// # Errors
    /// When nobody gives it. What came stays in the part.
    pub async fn blob(&self, digest: &Digest, size: u64, part: &mut Part) -> Result<&Source, Exhausted> {
        let mut asking = self.asking(format!("blob {digest}"), false);
        self.watch.tell(Event::Began(digest, size));
        self.watch.tell(Event::Has(digest, part.len()));
        while let Some((place, candidate, limits)) = asking.next().await {
            match self.transfer(place, candidate, limits, digest, size, part).await {
                Ok(()) => {
                    self.watch.tell(Event::Done(digest, &candidate.source.name));
                    return Ok(&candidate.source);
                }
                Err(failure) => {
                    self.watch.tell(Event::Has(digest, part.len()));
                    asking.failed(place, failure);
                }
            }
        }
        Err(asking.exhausted())
    }

    /// One transfer from one source: what is missing of the blob, as long as the source keeps its limits.
    async fn transfer(
        &self,
        place: usize,
        candidate: &Candidate,
        limits: Limits,
        digest: &Digest,
        size: u64,
        part: &mut Part,
    ) -> Result<(), Failure> {
        let Candidate { source, client, received, .. } = candidate;
        if part.len() > size {
            part.clear()?;
        }
        if part.len() == size {
            return part.check(digest);
        }
        let (started, mut probe) = (Instant::now(), Probe::new(limits));
        let mut response = client.blob(&source.repository, digest, part.len(), limits).await?;
        if !goes_on_from(&response, part.len())? {
            part.clear()?;
            self.watch.tell(Event::Has(digest, 0));
        }
        while part.len() < size {
            let now = started.elapsed();
            probe.judge(now, received.load(Ordering::Relaxed))?;
            let patience = probe.look_again(now).saturating_sub(now);
            let chunk = match tokio::time::timeout(patience, response.chunk()).await {
                Err(_) => continue,
                Ok(chunk) => chunk.map_err(|error| Failure::of(&error))?,
            };
            let Some(chunk) = chunk else {
                return Err(Failure::Truncated { got: part.len(), expected: size });
            };
            let all = received.fetch_add(chunk.len() as u64, Ordering::Relaxed) + chunk.len() as u64;
            probe.arrived(started.elapsed(), all);
            // Whatever comes after the end belongs to nothing.
            let rest = usize::try_from(size - part.len()).unwrap_or(usize::MAX);
            let chunk = &chunk[..chunk.len().min(rest)];
            part.add(chunk, place)?;
            self.watch.tell(Event::Bytes(digest, chunk.len() as u64));
        }
        part.check(digest)
    }

    fn asking(&self, what: String, only_origin: bool) -> Asking<'_> {
        let is_slow = self.candidates.iter().map(|candidate| candidate.is_slow.load(Ordering::Relaxed));
        let mut walk = Walk::new(is_slow, self.retry);
        if only_origin {
            let mirrors = self.candidates.iter().enumerate().filter(|(_, other)| !other.source.is_origin);
            mirrors.for_each(|(place, _)| walk.leave_out(place));
        }
        let last = vec![None; self.candidates.len()];
        Asking { sources: self, walk, what, started: Instant::now(), last }
    }
}

/// Whether an answer has the bytes from here on; if not, it has all of them.
pub(super) fn goes_on_from(response: &reqwest::Response, from: u64) -> Result<bool, Failure> {
    if response.status() != StatusCode::PARTIAL_CONTENT {
        return Ok(from == 0);
    }
    let range = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
    let begin = range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse().ok());
    if begin == Some(from) {
        Ok(true)
    } else {
        Err(Failure::Malformed("another range than was asked for".into()))
    }
}

/// One walk along the sources, with its pauses.
struct Asking<'a> {
    sources: &'a Sources,
    walk: Walk,
    what: String,
    started: Instant,
    last: Vec<Option<Failure>>,
}

impl<'a> Asking<'a> {
    /// Who is to be asked now; nobody when all have failed.
    async fn next(&mut self) -> Option<(usize, &'a Candidate, Limits)> {
        loop {
            let now = self.started.elapsed();
            match self.walk.next(now) {
                Step::Over => return None,
                Step::Wait(until) => tokio::time::sleep(until.saturating_sub(now)).await,
                Step::Try { source: place, is_patient } => {
                    let candidate = self.sources.candidates.get(place)?;
                    let Source { limits, patient, .. } = candidate.source;
                    return Some((place, candidate, if is_patient { patient } else { limits }));
                }
            }
        }
    }

    fn failed(&mut self, place: usize, failure: Failure) {
        self.walk.failed(place, &failure, self.started.elapsed(), fastrand::f64());
        let Some(candidate) = self.sources.candidates.get(place) else { return };
        if failure.is_slowness() {
            candidate.is_slow.store(true, Ordering::Relaxed);
        }
        self.last[place] = Some(failure.clone());
        let tried = Tried { source: candidate.source.name.clone(), what: self.what.clone(), failure };
        self.sources.watch.tell(Event::Failed(&tried));
        self.sources.tries.lock().unwrap_or_else(PoisonError::into_inner).push(tried);
    }

    fn exhausted(self) -> Exhausted {
        let Self { sources, what, last, .. } = self;
        let tried = sources.candidates.iter().zip(last).filter_map(|(candidate, failure)| {
            let source = candidate.source.name.clone();
            failure.map(|failure| Tried { source, what: what.clone(), failure })
        });
        Exhausted { tried: tried.collect(), what: what.clone() }
    }
}
