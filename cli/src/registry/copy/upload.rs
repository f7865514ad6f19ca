//! One blob: there already, taken from another repository of the registry, or streamed there from where it is.

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};
use reqwest::{Method, Response, StatusCode, Url, header};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::{Copier, CopyError, Repository};
use crate::image::Digest;
use crate::registry::client::Ask;
use crate::registry::failure::Failure;
use crate::registry::fetch::{Event, Watch, goes_on_from};

/// Where a blob is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source<'a> {
    /// In a registry.
    Registry(Repository<'a>),
    /// Here.
    Memory(&'a Bytes),
}

impl Source<'_> {
    /// What people know it by.
    fn name(&self) -> &str {
        match self {
            Self::Registry(from) => &from.client.address().host,
            Self::Memory(_) => "memory",
        }
    }
}

/// An upload that the destination has begun.
#[derive(Debug)]
struct Upload {
    location: String,
    flow: Arc<Mutex<Flow>>,
}

/// What went through our hands of one blob.
#[derive(Debug, Clone, Default)]
struct Flow {
    bytes: u64,
    hash: Sha256,
    /// Why the source stopped before the end.
    broke: Option<Failure>,
    /// When the destination asked for more last, or was given some.
    moved: Option<Instant>,
    /// Whether it waits for the source, which has a limit of its own.
    waits: bool,
}

impl Flow {
    fn moves(&mut self, waits: bool) {
        (self.moved, self.waits) = (Some(Instant::now()), waits);
    }
}

impl Copier {
    /// Lets the destination have this blob.
    pub(super) async fn blob(
        &self,
        from: Source<'_>,
        to: Repository<'_>,
        digest: &Digest,
        size: u64,
    ) -> Result<(), CopyError> {
        let counts = &self.count;
        if self.has(to, &format!("blobs/{digest}")).await? {
            counts.there.fetch_add(1, Ordering::Relaxed);
        } else if let Some(upload) = self.begin(from, to, digest).await? {
            self.watch.tell(Event::Began(digest, size));
            self.send(from, to, digest, size, upload).await?;
            self.watch.tell(Event::Done(digest, from.name()));
            counts.sent.fetch_add(1, Ordering::Relaxed);
        } else {
            counts.mounted.fetch_add(1, Ordering::Relaxed);
        }
        self.known().insert(digest.clone(), to.name.into());
        Ok(())
    }

    /// Begins an upload; nothing is to be sent where the registry finds the blob in another of its repositories.
    async fn begin(
        &self,
        from: Source<'_>,
        to: Repository<'_>,
        digest: &Digest,
    ) -> Result<Option<Upload>, CopyError> {
        let there = match from {
            Source::Registry(from) if from.client.address().host == to.client.address().host => {
                Some(from.name.to_owned())
            }
            Source::Registry(_) | Source::Memory(_) => None,
        };
        let elsewhere = self.known().get(digest).cloned().or(there);
        let elsewhere = elsewhere.filter(|repository| repository != to.name);
        let begin = async || {
            let mut ask = Ask::to_write(Method::POST, to.name, "blobs/uploads/");
            ask = ask.header(header::CONTENT_LENGTH, "0");
            if let Some(elsewhere) = &elsewhere {
                ask.path.push_str(&format!("?mount={digest}&from={elsewhere}"));
                ask.scopes.push(format!("repository:{elsewhere}:pull"));
            }
            let response = to.client.send(ask, self.limits).await?;
            if response.status() == StatusCode::CREATED {
                return Ok(None);
            }
            let location = location(to, &response)?;
            Ok(Some(Upload { location, flow: Arc::default() }))
        };
        self.patiently(to.client, || format!("upload of {digest}"), begin).await
    }

    /// Streams the blob, and goes on where a connection broke.
    async fn send(
        &self,
        from: Source<'_>,
        to: Repository<'_>,
        digest: &Digest,
        size: u64,
        mut upload: Upload,
    ) -> Result<(), CopyError> {
        let what = format!("blob {digest}");
        let mut failures = 0;
        while lock(&upload.flow).bytes < size {
            let before = lock(&upload.flow).bytes;
            let opened = self.open(from, digest, &upload).await;
            let response = match opened {
                Ok(response) => response,
                Err(failure) => {
                    self.pause(from.name(), &what, failure, &mut failures).await?;
                    continue;
                }
            };
            let body = body(
                response,
                Arc::clone(&upload.flow),
                size,
                self.limits.window,
                self.watch.clone(),
                digest.clone(),
            );
            let mut ask = Ask::at(Method::PATCH, &upload.location, to.name);
            ask = ask.header(header::CONTENT_TYPE, "application/octet-stream");
            ask.body = Some(reqwest::Body::wrap_stream(body));
            let answer = to.client.send_without_limit(ask);
            let patched = match while_it_moves(&upload.flow, self.limits.window, answer).await {
                Ok(response) => location(to, &response),
                Err(failure) => Err(failure),
            };
            let (now, broke) = {
                let mut flow = lock(&upload.flow);
                (flow.bytes, flow.broke.take())
            };
            self.count.bytes.fetch_add(now - before, Ordering::Relaxed);
            match patched {
                Ok(location) => upload.location = location,
                Err(failure) => {
                    self.pause(&to.client.address().host, &what, failure, &mut failures).await?;
                    upload = self.resume(from, to, digest, upload).await?;
                }
            }
            if let Some(failure) = broke {
                self.pause(from.name(), &what, failure, &mut failures).await?;
            }
        }
        let got: Digest = lock(&upload.flow).hash.clone().into();
        if got != *digest {
            // The registry forgets it by itself too.
            let forget = Ask::at(Method::DELETE, &upload.location, to.name);
            let _ = to.client.send(forget, self.limits).await;
            let failure = Failure::WrongDigest { expected: digest.clone(), got };
            return Err(CopyError { registry: from.name().into(), what, failure });
        }
        let finish = async || {
            let mut url = Url::parse(&upload.location)
                .map_err(|_| Failure::Malformed(format!("it points to '{}'", upload.location)))?;
            url.query_pairs_mut().append_pair("digest", digest.as_str());
            let ask = Ask::at(Method::PUT, url.as_str(), to.name).header(header::CONTENT_LENGTH, "0");
            match to.client.send(ask, self.limits).await {
                // An answer that was lost on its way: the first request did it.
                Err(failure) if failure.is_absence() => {
                    let there = Ask::to_read(Method::HEAD, to.name, &format!("blobs/{digest}"));
                    to.client.send(there, self.limits).await.map(drop).map_err(|_| failure)
                }
                answer => answer.map(drop),
            }
        };
        self.patiently(to.client, || what.clone(), finish).await
    }

    /// The source's answer, from where we are.
    async fn open(&self, from: Source<'_>, digest: &Digest, upload: &Upload) -> Result<Response, Failure> {
        let at = lock(&upload.flow).bytes;
        let from = match from {
            Source::Registry(from) => from,
            Source::Memory(bytes) => return Ok(answer_of(bytes, at)),
        };
        let response = from.client.blob(from.name, digest, at, self.limits).await?;
        if goes_on_from(&response, at)? {
            Ok(response)
        } else {
            Err(Failure::Malformed("it cannot go on in the middle of a blob".into()))
        }
    }

    /// Finds out how far the destination got. Where that is not as far as we are, all begins anew.
    async fn resume(
        &self,
        from: Source<'_>,
        to: Repository<'_>,
        digest: &Digest,
        upload: Upload,
    ) -> Result<Upload, CopyError> {
        let asked = Ask::at(Method::GET, &upload.location, to.name);
        let asked = to.client.send(asked, self.limits).await;
        // One of its own: the connection that was given up may not have noticed yet.
        let flow = lock(&upload.flow).clone();
        if let Ok(response) = asked
            && end_of(&response) == Some(flow.bytes)
            && let Ok(location) = location(to, &response)
        {
            return Ok(Upload { location, flow: Arc::new(Mutex::new(flow)) });
        }
        self.watch.tell(Event::Has(digest, 0));
        let fresh = self.begin(from, to, digest).await?;
        // A mount that works now would be a surprise: then nothing is left to send.
        Ok(fresh.unwrap_or(upload))
    }
}

/// Bytes from this one on as a registry would send them, piece by piece, so that it shows whether they move.
fn answer_of(bytes: &Bytes, at: u64) -> Response {
    const PIECE: usize = 64 << 10;
    let rest = bytes.slice(usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len())..);
    let pieces = (0..rest.len()).step_by(PIECE).map(|from| rest.slice(from..rest.len().min(from + PIECE)));
    let pieces: Vec<Result<Bytes, std::io::Error>> = pieces.map(Ok).collect();
    http::Response::new(reqwest::Body::wrap_stream(stream::iter(pieces))).into()
}

/// How many bytes the destination has, by `Range: 0-99`.
fn end_of(response: &Response) -> Option<u64> {
    let range = response.headers().get(header::RANGE)?.to_str().ok()?;
    let last: u64 = range.rsplit('-').next()?.parse().ok()?;
    Some(last + 1)
}

fn location(to: Repository<'_>, response: &Response) -> Result<String, Failure> {
    let location = response.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
    let location = location.ok_or_else(|| Failure::Malformed("no address for the upload".into()))?;
    to.client.join(response.url(), location)
}

/// The source's bytes on their way. Where the source stops, this ends as if all were there: so the destination keeps what it
/// has, and the next request goes on from there.
fn body(
    response: Response,
    flow: Arc<Mutex<Flow>>,
    size: u64,
    stall: Duration,
    watch: Watch,
    digest: Digest,
) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static {
    stream::unfold(response, move |mut response| {
        let (flow, watch, digest) = (Arc::clone(&flow), watch.clone(), digest.clone());
        async move {
            let left = {
                let mut flow = lock(&flow);
                let left = size.saturating_sub(flow.bytes);
                flow.moves(left > 0);
                left
            };
            if left == 0 {
                return None;
            }
            let chunk = tokio::time::timeout(stall, response.chunk()).await;
            lock(&flow).moves(false);
            let failure = match chunk {
                Ok(Ok(Some(mut chunk))) => {
                    chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                    let mut flow = lock(&flow);
                    flow.hash.update(&chunk);
                    flow.bytes += chunk.len() as u64;
                    watch.tell(Event::Bytes(&digest, chunk.len() as u64));
                    return Some((Ok(chunk), response));
                }
                Ok(Ok(None)) => Failure::Truncated { got: size - left, expected: size },
                Ok(Err(error)) => Failure::of(&error),
                Err(_) => Failure::Stalled { limit: stall },
            };
            lock(&flow).broke = Some(failure);
            None
        }
    })
}

/// The answer to a request whose body flows, if the destination takes none of it for no longer than this.
async fn while_it_moves(
    flow: &Mutex<Flow>,
    limit: Duration,
    answer: impl Future<Output = Result<Response, Failure>>,
) -> Result<Response, Failure> {
    let mut answer = pin!(answer);
    let mut end = Instant::now() + limit;
    loop {
        if let Ok(answer) = tokio::time::timeout_at(end, &mut answer).await {
            return answer;
        }
        let (moved, waits) = {
            let flow = lock(flow);
            (flow.moved, flow.waits)
        };
        let now = Instant::now();
        end = match moved.map(|moved| moved + limit) {
            _ if waits => now + limit,
            Some(later) if later > now => later,
            _ => return Err(Failure::Stalled { limit }),
        };
    }
}

fn lock(flow: &Mutex<Flow>) -> MutexGuard<'_, Flow> {
    flow.lock().unwrap_or_else(PoisonError::into_inner)
}
