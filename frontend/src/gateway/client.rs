//! The engine's side of a build, one method a call.

use std::collections::HashMap;

use http::uri::PathAndQuery;
use prost::Message;
use tonic::client::Grpc;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use super::messages::{
    Empty, InputsResponse, PongResponse, ReturnRequest, SolveRequest, SolveResponse, StatFileRequest,
    WarnRequest,
};

/// The largest message that BuildKit sends or takes: 16 MiB (`util/grpcutil` via `defaults.DefaultMaxRecvMsgSize`).
pub(super) const MAX_MESSAGE: usize = 16 << 20;

/// What an engine can do, as far as we care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Capabilities {
    /// It shows warnings (BuildKit 0.10).
    pub warnings: bool,
}

/// A connection to the engine for one build.
#[derive(Debug, Clone)]
pub struct Client {
    grpc: Grpc<Channel>,
}

impl Client {
    pub(super) fn new(channel: Channel) -> Self {
        let grpc = Grpc::new(channel);
        Self { grpc: grpc.max_decoding_message_size(MAX_MESSAGE).max_encoding_message_size(MAX_MESSAGE) }
    }

    async fn call<Q, A>(&self, method: &'static str, request: Q) -> Result<A, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut grpc = self.grpc.clone();
        grpc.ready().await.map_err(|error| Status::unavailable(format!("the engine went away: {error}")))?;
        let codec = ProstCodec::<Q, A>::default();
        Ok(grpc.unary(Request::new(request), PathAndQuery::from_static(method), codec).await?.into_inner())
    }

    pub(super) async fn ping(&self) -> Result<Capabilities, Status> {
        let pong: PongResponse = self.call("/moby.buildkit.v1.frontend.LLBBridge/Ping", Empty {}).await?;
        let has = |id| pong.frontend_api_caps.iter().any(|cap| cap.enabled && cap.id == id);
        Ok(Capabilities { warnings: has("gateway.warnings") })
    }

    /// The definitions that the caller of this frontend passed in, by name. None on an engine that cannot pass any.
    pub(super) async fn inputs(&self) -> Result<HashMap<String, Vec<u8>>, Status> {
        match self.call("/moby.buildkit.v1.frontend.LLBBridge/Inputs", Empty {}).await {
            Ok(InputsResponse { definitions }) => Ok(definitions),
            Err(status) if status.code() == Code::Unimplemented => Ok(HashMap::new()),
            Err(status) => Err(status),
        }
    }

    /// Solves, lazily: what is not asked for does not run yet. The answer is an encoded `Result`.
    pub(super) async fn solve(&self, request: SolveRequest) -> Result<Vec<u8>, Status> {
        let request = SolveRequest { allow_result_return: true, allow_result_array_ref: true, ..request };
        let answer: SolveResponse = self.call("/moby.buildkit.v1.frontend.LLBBridge/Solve", request).await?;
        Ok(answer.result.unwrap_or_default())
    }

    pub(super) async fn warn(&self, warning: WarnRequest) -> Result<(), Status> {
        let Empty {} = self.call("/moby.buildkit.v1.frontend.LLBBridge/Warn", warning).await?;
        Ok(())
    }

    /// Makes the engine run what `reference` stands for.
    pub(super) async fn run(&self, reference: String) -> Result<(), Status> {
        let root = StatFileRequest { r#ref: reference, path: "/".to_owned() };
        let Empty {} = self.call("/moby.buildkit.v1.frontend.LLBBridge/StatFile", root).await?;
        Ok(())
    }

    /// Ends the build with an encoded `Result`.
    pub(super) async fn return_result(&self, result: Vec<u8>) -> Result<(), Status> {
        self.finish(ReturnRequest { result: Some(result), error: None }).await
    }

    /// Ends the build with an encoded `google.rpc.Status`.
    pub(super) async fn return_error(&self, status: Vec<u8>) -> Result<(), Status> {
        self.finish(ReturnRequest { result: None, error: Some(status) }).await
    }

    async fn finish(&self, request: ReturnRequest) -> Result<(), Status> {
        let Empty {} = self.call("/moby.buildkit.v1.frontend.LLBBridge/Return", request).await?;
        Ok(())
    }
}
