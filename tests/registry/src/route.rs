//! The distribution specification, as far as clients use it, and what goes wrong on the way.

use std::io;
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};

use crate::fault::{Fault, On};
use crate::image::digest;
use crate::serve::{Shared, Socket, reset};
use crate::state::{self, State};

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// An answer before anything goes wrong with it.
struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

impl Answer {
    fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new() }
    }
    fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
    fn body(self, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self }
    }
    fn error(status: u16, code: &str) -> Self {
        let text =
            serde_json::json!({"errors": [{"code": code, "message": code.to_lowercase().replace('_', " ")}]});
        Self::new(status).header("content-type", "application/json").body(text.to_string())
    }
}

pub(crate) async fn answer(
    shared: Arc<Shared>,
    socket: Socket,
    request: Request<Incoming>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let on = on(&method, &path);
    if on.is_some_and(|on| shared.state().begins_with(on, Fault::Silent)) {
        return std::future::pending().await;
    }
    let received = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let range = parts.headers.get("range").and_then(|range| range.to_str().ok());
    let from = range.and_then(|range| range.strip_prefix("bytes=")?.split('-').next()?.parse::<usize>().ok());
    let media_type = parts.headers.get("content-type").and_then(|value| value.to_str().ok());
    let (mut answer, fault) = {
        let mut state = shared.state();
        if on.is_some_and(|on| state.begins_with(on, Fault::LoginEnds)) {
            state.login.iter_mut().for_each(|login| login.tokens.clear());
        }
        let limited = state.limit.as_mut().and_then(|limit| limit.take(Instant::now()));
        let answer = match limited {
            Some(wait) => Answer::error(429, "TOOMANYREQUESTS")
                .header("retry-after", (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).to_string()),
            None => match admit(&mut state, shared.address, &parts, &received) {
                Some(answer) => answer,
                None => route(&mut state, &method, &path, &query, media_type, received),
            },
        };
        let fault = on.filter(|_| limited.is_none()).and_then(|on| state.fault(on));
        (answer, fault)
    };
    if let Some(from) = from.filter(|_| answer.status == 200 && on == Some(On::Blob)) {
        let size = answer.body.len();
        answer = if from >= size {
            Answer::error(416, "RANGE_INVALID")
        } else {
            let rest = answer.body.slice(from..);
            Answer { status: 206, headers: answer.headers, body: rest }
                .header("content-range", format!("bytes {from}-{}/{size}", size - 1))
        };
    }
    answer = match fault {
        Some(Fault::Status(status)) => Answer::error(status, "FAULT"),
        Some(Fault::RetryAfter(status, seconds)) => {
            Answer::error(status, "TOOMANYREQUESTS").header("retry-after", seconds.to_string())
        }
        Some(Fault::Loop) => Answer::new(307).header("location", path.clone()),
        Some(Fault::NoTls) => Answer::new(307).header("location", format!("https://{}{path}", shared.no_tls)),
        Some(Fault::Late(time)) => {
            tokio::time::sleep(time).await;
            answer
        }
        _ => answer,
    };
    let full_path = if query.is_empty() { path } else { format!("{path}?{query}") };
    let seen = state::Request { method: method.to_string(), path: full_path, status: answer.status };
    shared.state().requests.push(seen);
    let mut response = Response::builder().status(answer.status).header("content-length", answer.body.len());
    for (name, value) in &answer.headers {
        response = response.header(*name, value);
    }
    let body = if method == Method::HEAD { full(Bytes::new()) } else { body_of(answer.body, fault, socket) };
    response.body(body).unwrap_or_else(|_| {
        let mut broken = Response::new(full(Bytes::new()));
        *broken.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        broken
    })
}

/// What is answered to who has no token for what is asked, and to who asks for one; nothing where all is well.
fn admit(state: &mut State, address: SocketAddrV4, request: &Parts, received: &Bytes) -> Option<Answer> {
    let login = state.login.as_mut()?;
    let (method, path) = (&request.method, request.uri.path());
    let authorization = request.headers.get("authorization").and_then(|value| value.to_str().ok());
    if path == "/token" {
        let token = if method == Method::POST {
            login.refreshed(&String::from_utf8_lossy(received))
        } else {
            login.token(authorization, request.uri.query().unwrap_or_default())
        };
        return Some(match token {
            Some(token) => Answer::new(200)
                .header("content-type", "application/json")
                .body(serde_json::json!({ "token": token }).to_string()),
            None => Answer::error(401, "UNAUTHORIZED"),
        });
    }
    let rest = path.strip_prefix("/v2/").unwrap_or_default();
    let repository = ["/manifests/", "/blobs/", "/tags/", "/referrers/"]
        .iter()
        .find_map(|kind| rest.split_once(kind).map(|(repository, _)| repository));
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    if login.lets_in(authorization, repository, if is_read { "pull" } else { "push" }) {
        return None;
    }
    let challenge = format!("Bearer realm=\"http://{address}/token\",service=\"test\"");
    Some(Answer::error(401, "UNAUTHORIZED").header("www-authenticate", challenge))
}

fn on(method: &Method, path: &str) -> Option<On> {
    let mut parts = path.rsplit('/');
    let _name = parts.next();
    match (method, parts.next()) {
        (&Method::GET | &Method::HEAD, Some("manifests")) => Some(On::Manifest),
        (&Method::GET | &Method::HEAD, Some("blobs")) => Some(On::Blob),
        (&Method::GET, Some("tags")) => Some(On::Tags),
        (&Method::PATCH, _) => Some(On::Patch),
        (&Method::PUT, _) => Some(On::Put),
        (&Method::DELETE, _) => Some(On::Delete),
        _ => None,
    }
}

fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

/// The body as it goes out.
fn body_of(bytes: Bytes, fault: Option<Fault>, socket: Socket) -> Body {
    let half = bytes.slice(..bytes.len() / 2);
    let broken = || Err(io::Error::other("told to"));
    let pieces = match fault {
        Some(Fault::Wrong) => {
            let mut wrong = bytes.to_vec();
            if let Some(byte) = wrong.last_mut() {
                // JSON stays JSON.
                *byte = if *byte == b'}' { b' ' } else { !*byte };
            }
            return full(wrong.into());
        }
        Some(Fault::Truncated) => stream::iter([Ok(half), broken()]).boxed(),
        Some(Fault::Reset) => {
            let end = stream::once(async move {
                // What was written before goes out first.
                tokio::time::sleep(Duration::from_millis(20)).await;
                reset(&socket);
                Err(io::Error::other("told to"))
            });
            stream::iter([Ok(half)]).chain(end).boxed()
        }
        Some(Fault::Drip(rate)) => {
            let step = usize::try_from(rate / 10).unwrap_or(1).max(1);
            let drip = move |rest: Bytes| async move {
                if rest.is_empty() {
                    return None;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
                let mut rest = rest;
                let piece = rest.split_to(step.min(rest.len()));
                Some((Ok(piece), rest))
            };
            stream::unfold(bytes, drip).boxed()
        }
        _ => return full(bytes),
    };
    StreamBody::new(pieces.map(|piece| piece.map(Frame::data))).boxed_unsync()
}

fn route(
    state: &mut State,
    method: &Method,
    path: &str,
    query: &str,
    media_type: Option<&str>,
    received: Bytes,
) -> Answer {
    let Some(path) = path.strip_prefix("/v2/") else { return Answer::error(404, "NOT_FOUND") };
    if path.is_empty() {
        return Answer::new(200).body("{}");
    }
    if path == "_catalog" {
        let names: Vec<_> = state.repositories.keys().collect();
        let list = serde_json::json!({"repositories": names});
        return Answer::new(200).header("content-type", "application/json").body(list.to_string());
    }
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        [repository @ .., "manifests", name] => {
            manifests(state, method, &repository.join("/"), name, media_type, received)
        }
        [repository @ .., "blobs", "uploads", upload] => {
            uploads(state, method, &repository.join("/"), upload, query, received)
        }
        [repository @ .., "blobs", digest] => {
            let repository = state.repositories.get(&repository.join("/"));
            match repository.and_then(|repository| repository.blobs.get(*digest)) {
                Some(blob) => Answer::new(200)
                    .header("docker-content-digest", *digest)
                    .header("content-type", "application/octet-stream")
                    .body(blob.clone()),
                None => Answer::error(404, "BLOB_UNKNOWN"),
            }
        }
        [repository @ .., "tags", "list"] => match state.repositories.get(&repository.join("/")) {
            Some(found) => {
                let tags: Vec<_> = found.tags.keys().collect();
                let list = serde_json::json!({"name": repository.join("/"), "tags": tags});
                Answer::new(200).header("content-type", "application/json").body(list.to_string())
            }
            None => Answer::error(404, "NAME_UNKNOWN"),
        },
        [repository @ .., "referrers", subject] if state.has_referrers => {
            let repository = state.repositories.get(&repository.join("/"));
            let list = repository.map(|repository| repository.referrers(subject)).unwrap_or_default();
            Answer::new(200).header("content-type", crate::image::INDEX).body(list)
        }
        _ => Answer::error(404, "NOT_FOUND"),
    }
}

fn manifests(
    state: &mut State,
    method: &Method,
    repository: &str,
    name: &str,
    media_type: Option<&str>,
    received: Bytes,
) -> Answer {
    let (has_referrers, refuses) = (state.has_referrers, state.refuses_deletion);
    let found = state.repositories.get(repository).and_then(|repository| repository.manifest(name));
    match *method {
        Method::GET | Method::HEAD => match found {
            Some((digest, media_type, bytes)) => Answer::new(200)
                .header("content-type", media_type)
                .header("docker-content-digest", digest)
                .body(bytes),
            None => Answer::error(404, "MANIFEST_UNKNOWN"),
        },
        Method::PUT => {
            let repository = state.repositories.entry(repository.into()).or_default();
            let manifest: serde_json::Value = serde_json::from_slice(&received).unwrap_or_default();
            let needs = |pointer: &str| -> Vec<String> {
                let list = manifest.pointer(pointer).and_then(serde_json::Value::as_array);
                let digest = |one: &serde_json::Value| Some(one.get("digest")?.as_str()?.to_owned());
                list.into_iter().flatten().filter_map(digest).collect()
            };
            let config = manifest.pointer("/config/digest").and_then(|digest| digest.as_str());
            let blobs = needs("/layers").into_iter().chain(config.map(str::to_owned));
            let lacks_blob = blobs.into_iter().any(|digest| !repository.blobs.contains_key(&digest));
            let lacks_manifest =
                needs("/manifests").iter().any(|digest| !repository.manifests.contains_key(digest));
            if lacks_blob || lacks_manifest {
                return Answer::error(404, "MANIFEST_BLOB_UNKNOWN");
            }
            let tag = (!name.starts_with("sha256:")).then_some(name);
            let digest =
                repository.put_manifest(tag, media_type.unwrap_or(crate::image::MANIFEST), &received);
            let answer = Answer::new(201).header("docker-content-digest", digest);
            match manifest.pointer("/subject/digest").and_then(|digest| digest.as_str()) {
                Some(subject) if has_referrers => answer.header("oci-subject", subject),
                _ => answer,
            }
        }
        Method::DELETE if refuses => Answer::error(405, "UNSUPPORTED"),
        Method::DELETE => match (found, state.repositories.get_mut(repository)) {
            (Some((digest, ..)), Some(repository)) if digest == name => {
                repository.manifests.remove(&digest);
                repository.tags.retain(|_, tagged| *tagged != digest);
                Answer::new(202)
            }
            (Some(_), _) => Answer::error(405, "UNSUPPORTED"),
            _ => Answer::error(404, "MANIFEST_UNKNOWN"),
        },
        _ => Answer::error(405, "UNSUPPORTED"),
    }
}

fn uploads(
    state: &mut State,
    method: &Method,
    repository: &str,
    upload: &str,
    query: &str,
    received: Bytes,
) -> Answer {
    let parameter = |name: &str| {
        let pair = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        pair.map(|value| value.replace("%3A", ":").replace("%2F", "/"))
    };
    let progress = |answer: Answer, name: &str, len: usize| {
        let location = format!("/v2/{repository}/blobs/uploads/{name}");
        answer.header("location", location).header("range", format!("0-{}", len.saturating_sub(1)))
    };
    if *method == Method::POST {
        let mounted = parameter("mount").filter(|_| !state.refuses_mounts).and_then(|digest| {
            let blob = state.repositories.get(&parameter("from")?)?.blobs.get(&digest)?.clone();
            Some((digest, blob))
        });
        if let Some((digest, blob)) = mounted {
            state.repositories.entry(repository.into()).or_default().blobs.insert(digest.clone(), blob);
            return Answer::new(201).header("location", format!("/v2/{repository}/blobs/{digest}"));
        }
        state.next_upload += 1;
        let name = format!("upload-{}", state.next_upload);
        state.uploads.insert(name.clone(), Vec::new());
        return progress(Answer::new(202), &name, 0);
    }
    let Some(bytes) = state.uploads.get_mut(upload) else { return Answer::error(404, "BLOB_UPLOAD_UNKNOWN") };
    match *method {
        Method::GET => progress(Answer::new(204), upload, bytes.len()),
        Method::PATCH => {
            bytes.extend_from_slice(&received);
            progress(Answer::new(202), upload, bytes.len())
        }
        Method::PUT => {
            bytes.extend_from_slice(&received);
            let bytes = Bytes::from(std::mem::take(bytes));
            state.uploads.remove(upload);
            let got = digest(&bytes);
            if parameter("digest").as_deref() != Some(got.as_str()) {
                return Answer::error(400, "DIGEST_INVALID");
            }
            state.repositories.entry(repository.into()).or_default().blobs.insert(got.clone(), bytes);
            Answer::new(201).header("location", format!("/v2/{repository}/blobs/{got}"))
        }
        Method::DELETE => {
            state.uploads.remove(upload);
            Answer::new(204)
        }
        _ => Answer::error(405, "UNSUPPORTED"),
    }
}
