//! BuildKit's control interface, one method a question.

use std::io;
use std::sync::Mutex;
use std::time::Duration;

use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::time::timeout;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};
use tonic_prost::ProstCodec;

use super::hijack;
use super::messages::{BuildHistoryEvent, BuildHistoryRequest, StatusRequest, StatusResponse};

/// The largest message that BuildKit sends: 16 MiB (`util/grpcutil`).
const MAX_MESSAGE: usize = 16 << 20;

/// A question is begun to be answered within this time.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why an engine's BuildKit cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no way to it.
    #[error("cannot reach the engine's BuildKit")]
    Connect(#[from] io::Error),
    /// It does not speak HTTP/2.
    #[error("cannot speak to the engine's BuildKit")]
    Transport(#[from] tonic::transport::Error),
    /// It does not answer.
    #[error("the engine's BuildKit refused")]
    Refused(#[from] Status),
}

/// A connection to an engine's BuildKit.
#[derive(Debug, Clone)]
pub struct Client {
    grpc: Grpc<Channel>,
}

impl Client {
    /// Connects to the engine at an address as `DOCKER_HOST` has it.
    ///
    /// # Errors
    /// There is no engine, or no BuildKit in it.
    pub async fn connect(address: &str) -> Result<Self, Error> {
        // There is one stream; a second request for it, after a loss, fails.
        let stream = Mutex::new(Some(hijack::connect(address).await?));
        let connector = tower::service_fn(move |_: http::Uri| {
            let stream = stream.lock().ok().and_then(|mut stream| stream.take());
            async move { stream.map(TokioIo::new).ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected)) }
        });
        let channel = Endpoint::from_static("http://engine").connect_with_connector(connector).await?;
        Ok(Self { grpc: Grpc::new(channel).max_decoding_message_size(MAX_MESSAGE) })
    }

    /// The builds that run, and then each that begins or ends (BuildKit 0.11).
    ///
    /// # Errors
    /// The engine cannot tell.
    pub async fn builds(&self) -> Result<Streaming<BuildHistoryEvent>, Error> {
        let request = BuildHistoryRequest { active_only: true };
        self.stream("/moby.buildkit.v1.Control/ListenBuildHistory", request).await
    }

    /// All that happened in a build, and then what happens, until it ends.
    ///
    /// # Errors
    /// There is no such build.
    pub async fn status(&self, reference: &str) -> Result<Streaming<StatusResponse>, Error> {
        let request = StatusRequest { reference: reference.to_owned() };
        self.stream("/moby.buildkit.v1.Control/Status", request).await
    }

    async fn stream<Q, A>(&self, method: &'static str, request: Q) -> Result<Streaming<A>, Error>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut grpc = self.grpc.clone();
        grpc.ready().await?;
        let codec = ProstCodec::<Q, A>::default();
        let path = PathAndQuery::from_static(method);
        let asking = grpc.server_streaming(Request::new(request), path, codec);
        let answer = timeout(PATIENCE, asking).await.map_err(|_| Status::deadline_exceeded("no answer"))?;
        Ok(answer?.into_inner())
    }
}
