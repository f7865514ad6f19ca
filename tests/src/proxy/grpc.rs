//! The same between a client and a containerd, whose calls are streams of one connection (gRPC over HTTP/2).

use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use bytes::Bytes;
use h2::client::SendRequest;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{Request, Response};
use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::Fate;

/// A call and where its answer goes.
type Call = (Request<RecvStream>, SendResponse<Bytes>);

/// A socket in front of a containerd's. It goes with this value.
#[derive(Debug)]
pub struct Proxy {
    dir: TempDir,
    calls: Arc<Mutex<Vec<String>>>,
    /// All that it does is done here, and ends with it.
    _work: Runtime,
}

impl Proxy {
    /// Judges each call by its number, from 1 on, and its method. The status of one that is refused is a gRPC's.
    ///
    /// # Errors
    /// When there is no place for a socket.
    pub fn new(engine: &Path, judge: impl Fn(usize, &str) -> Fate + Send + Sync + 'static) -> Result<Self> {
        let dir = tempfile::tempdir().context("cannot create a directory")?;
        let work = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let work = work.context("cannot start a thread")?;
        let calls: Arc<Mutex<Vec<String>>> = Arc::default();
        let listener = {
            let _inside = work.enter();
            UnixListener::bind(dir.path().join("containerd.sock")).context("cannot make a socket")?
        };
        let (engine, known) = (engine.to_owned(), Arc::clone(&calls));
        let judge = Arc::new(move |method: &str| {
            let mut calls = known.lock().unwrap_or_else(PoisonError::into_inner);
            calls.push(method.to_owned());
            judge(calls.len(), method)
        });
        work.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // Whose end comes early is seen by the client.
                tokio::spawn(serve(client, engine.clone(), Arc::clone(&judge)));
            }
        });
        Ok(Self { dir, calls, _work: work })
    }

    /// Where it is.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("containerd.sock")
    }

    /// The methods of all calls until now, in their order.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One connection, until it ends or is broken.
async fn serve(
    client: UnixStream,
    engine: PathBuf,
    judge: Arc<impl Fn(&str) -> Fate + Send + Sync + 'static>,
) -> Result<()> {
    let mut from = h2::server::handshake(client).await?;
    let (to, upstream) = h2::client::handshake(UnixStream::connect(engine).await?).await?;
    let broken = Arc::new(Notify::new());
    // All of it is dropped, and with it both connections, when this function ends.
    let mut work = JoinSet::new();
    work.spawn(async move {
        // Its end is that of its calls.
        let _ = upstream.await;
    });
    loop {
        tokio::select! {
            accepted = from.accept() => {
                let Some((request, answer)) = accepted.transpose()? else { return Ok(()) };
                let fate = judge(request.uri().path());
                if fate == Fate::Unheard {
                    return Ok(());
                }
                let (to, broken) = (to.clone(), Arc::clone(&broken));
                work.spawn(async move {
                    // What goes wrong on one side is told to the other by what is dropped.
                    let _ = one(fate, (request, answer), to, &broken).await;
                });
            }
            () = broken.notified() => return Ok(()),
        }
    }
}

async fn one(fate: Fate, call: Call, to: SendRequest<Bytes>, broken: &Notify) -> Result<()> {
    match fate {
        Fate::Passes => pass(call, to).await,
        Fate::Refused(status, words) => refuse(call, status, &words),
        Fate::Unheard => Ok(()),
        Fate::Lost => {
            let (request, _answer) = call;
            ask(request, to).await?.await?;
            broken.notify_one();
            Ok(())
        }
    }
}

/// Asks containerd; the question goes on while the answer comes.
async fn ask(request: Request<RecvStream>, to: SendRequest<Bytes>) -> Result<h2::client::ResponseFuture> {
    let (head, body) = request.into_parts();
    let is_all = body.is_end_stream();
    let (answer, question) = to.ready().await?.send_request(Request::from_parts(head, ()), is_all)?;
    if !is_all {
        tokio::spawn(copy(body, question));
    }
    Ok(answer)
}

async fn pass((request, mut answer): Call, to: SendRequest<Bytes>) -> Result<()> {
    let response = tokio::select! {
        response = ask_for_answer(request, to) => response?,
        // Nobody wants it any more.
        _ = poll_fn(|context| answer.poll_reset(context)) => return Ok(()),
    };
    let (head, body) = response.into_parts();
    let is_all = body.is_end_stream();
    let sender = answer.send_response(Response::from_parts(head, ()), is_all)?;
    if is_all { Ok(()) } else { copy(body, sender).await }
}

async fn ask_for_answer(
    request: Request<RecvStream>,
    to: SendRequest<Bytes>,
) -> Result<Response<RecvStream>> {
    Ok(ask(request, to).await?.await?)
}

/// Answers as gRPC does: all is well with HTTP, and the trailers, which are all there is, tell what is not.
fn refuse((_, mut answer): Call, status: u16, words: &str) -> Result<()> {
    let refusal = Response::builder()
        .header("content-type", "application/grpc")
        .header("grpc-status", status)
        .header("grpc-message", words)
        .body(())?;
    answer.send_response(refusal, true)?;
    Ok(())
}

/// Passes on one direction of a call, with its trailers.
async fn copy(mut from: RecvStream, mut to: SendStream<Bytes>) -> Result<()> {
    while let Some(piece) = from.data().await {
        let mut piece = piece?;
        from.flow_control().release_capacity(piece.len())?;
        while !piece.is_empty() {
            to.reserve_capacity(piece.len());
            let room = poll_fn(|context| to.poll_capacity(context)).await.context("nobody listens")??;
            to.send_data(piece.split_to(room.min(piece.len())), false)?;
        }
    }
    match from.trailers().await? {
        Some(trailers) => to.send_trailers(trailers)?,
        None => to.send_data(Bytes::new(), true)?,
    }
    Ok(())
}
