//! A registry on this host's loopback, for one engine and one image, for as long as it is pulled. The engine takes from it
//! what it lacks, and unpacks it as it does with any other; all of it is checked before.

use std::convert::Infallible;
use std::io::{self, Read as _};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{
    ACCEPT_RANGES, AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName, RANGE,
    WWW_AUTHENTICATE,
};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::archive::pieces;
use super::content::Content;
use crate::engine::Account;
use crate::image::Digest;

/// No engine asks for more at once.
const MOST_CONNECTIONS: usize = 64;

/// How long nobody is let in after nobody could be.
const BREATH: Duration = Duration::from_millis(10);

const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// The registry while it serves. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Server {
    address: SocketAddrV4,
    password: String,
    was_asked: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Serves the content on a free port, to whoever has the password.
    pub(super) async fn start(content: Arc<Content>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, listener.local_addr()?.port());
        let (password, was_asked) = (secret()?, Arc::new(AtomicBool::new(false)));
        let served = Served { content, password: password.clone(), was_asked: Arc::clone(&was_asked) };
        let task = tokio::spawn(accept(listener, Arc::new(served)));
        Ok(Self { address, password, was_asked, task })
    }

    /// What the engine has to know of it.
    pub(super) fn account(&self) -> Account {
        Account { user: USER.into(), password: self.password.clone(), registry: self.address.to_string() }
    }

    /// What stands before the names of its images.
    pub(super) fn address(&self) -> SocketAddrV4 {
        self.address
    }

    /// Whether an engine found it.
    pub(super) fn was_asked(&self) -> bool {
        self.was_asked.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

const USER: &str = "ci-build";

struct Served {
    content: Arc<Content>,
    password: String,
    was_asked: Arc<AtomicBool>,
}

/// Other users of this host can reach the port too, and are not to get what our login gets.
fn secret() -> io::Result<String> {
    let mut bytes = [0; 18];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
}

async fn accept(listener: TcpListener, served: Arc<Served>) {
    // Dropped with this task: no connection outlives it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < MOST_CONNECTIONS => {
                let Ok((connection, _)) = accepted else {
                    // Too many open files, say: it passes, and not sooner for being asked at full speed.
                    tokio::time::sleep(BREATH).await;
                    continue;
                };
                let served = Arc::clone(&served);
                connections.spawn(async move {
                    let answer = service_fn(move |request| answer(Arc::clone(&served), request));
                    // A connection that the engine breaks off is its own affair.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(connection), answer)
                        .await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn answer(served: Arc<Served>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    served.was_asked.store(true, Ordering::Relaxed);
    let mut response = if is_ours(&request, &served.password) {
        route(&served.content, &request).await
    } else {
        let mut refused = status(StatusCode::UNAUTHORIZED);
        refused
            .headers_mut()
            .insert(WWW_AUTHENTICATE, "Basic realm=\"ci-build\"".parse().expect("it is ASCII"));
        refused
    };
    response.headers_mut().insert(VERSION, "registry/2.0".parse().expect("it is ASCII"));
    Ok(response)
}

fn is_ours(request: &Request<Incoming>, password: &str) -> bool {
    let expected = crate::registry::basic(USER, password);
    request.headers().get(AUTHORIZATION).is_some_and(|given| given.as_bytes() == expected.as_bytes())
}

async fn route(content: &Arc<Content>, request: &Request<Incoming>) -> Response<Body> {
    let (is_head, path) = (request.method() == Method::HEAD, request.uri().path());
    if !is_head && request.method() != Method::GET {
        return status(StatusCode::METHOD_NOT_ALLOWED);
    }
    if matches!(path, "/v2/" | "/v2") {
        return status(StatusCode::OK);
    }
    let mut parts = path.rsplitn(3, '/');
    let (digest, kind) = (parts.next().and_then(|last| last.parse::<Digest>().ok()), parts.next());
    match (kind, digest) {
        (Some("manifests"), Some(digest)) => manifest(content, &digest, is_head).await,
        (Some("blobs"), Some(digest)) => {
            let range = request.headers().get(RANGE).and_then(|range| range.to_str().ok());
            let from = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
            blob(content, digest, from, is_head)
        }
        _ => status(StatusCode::NOT_FOUND),
    }
}

async fn manifest(content: &Content, digest: &Digest, is_head: bool) -> Response<Body> {
    let Ok(manifest) = content.manifest(digest).await else { return status(StatusCode::NOT_FOUND) };
    let response = Response::builder()
        .header(CONTENT_TYPE, manifest.media_type)
        .header(CONTENT_LENGTH, manifest.bytes.len())
        .header(DIGEST, digest.as_str());
    finish(response, if is_head { empty() } else { full(manifest.bytes) })
}

/// The answer begins at once, so that no engine takes us for dead; its body comes when the blob is there and right.
fn blob(content: &Arc<Content>, digest: Digest, from: Option<u64>, is_head: bool) -> Response<Body> {
    let Some(size) = content.size(&digest) else { return status(StatusCode::NOT_FOUND) };
    let mut response = Response::builder()
        .header(CONTENT_TYPE, "application/octet-stream")
        .header(ACCEPT_RANGES, "bytes")
        .header(DIGEST, digest.as_str());
    let begin = match from {
        Some(from) if from >= size => return status(StatusCode::RANGE_NOT_SATISFIABLE),
        Some(from) => {
            response = response
                .status(StatusCode::PARTIAL_CONTENT)
                .header(CONTENT_RANGE, format!("bytes {from}-{}/{size}", size.saturating_sub(1)));
            from
        }
        None => 0,
    };
    response = response.header(CONTENT_LENGTH, size - begin);
    let body = if is_head { empty() } else { bytes(Arc::clone(content), digest, begin) };
    finish(response, body)
}

fn bytes(content: Arc<Content>, digest: Digest, begin: u64) -> Body {
    StreamBody::new(pieces(content, digest, begin).map_ok(Frame::data)).boxed_unsync()
}

fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(empty());
    *response.status_mut() = status;
    response
}

fn finish(response: hyper::http::response::Builder, body: Body) -> Response<Body> {
    // What cannot be said in a header is a media type that somebody made up.
    response.body(body).unwrap_or_else(|_| status(StatusCode::BAD_GATEWAY))
}

fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

fn empty() -> Body {
    full(Bytes::new())
}
