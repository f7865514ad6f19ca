//! The engine's side of a gateway connection, over memory: it answers with captured definitions and with what no real
//! engine can be made to send, and keeps what it was asked.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use prost::Message;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::Service;

use super::super::messages::{
    ApiCap, Empty, InputsResponse, PongResponse, Ref, ReturnRequest, SolveRequest, SolveResponse,
    StatFileRequest, WarnRequest,
};
use super::super::{Options, OptionsError, build, serve};
use crate::llb::wire::encode_bytes;
use crate::llb::{self, Definition};

/// How the engine answers.
#[derive(Clone)]
pub(super) struct Engine {
    /// What `dockerfile.v0` makes of the build: an encoded `Result`.
    pub inner: Result<Vec<u8>, Status>,
    pub inputs: HashMap<String, Vec<u8>>,
    /// What it answers instead of the inputs.
    pub inputs_error: Option<Status>,
    /// Whether it shows warnings.
    pub warnings: bool,
    pub asked: Arc<Mutex<Asked>>,
}

/// What the engine was asked.
#[derive(Default)]
pub(super) struct Asked {
    pub pings: usize,
    pub frontends: Vec<SolveRequest>,
    pub definitions: Vec<SolveRequest>,
    /// Definitions of steps that are there for their names.
    pub named: Vec<SolveRequest>,
    pub warnings: Vec<WarnRequest>,
    pub run: Vec<String>,
    pub returned: Vec<ReturnRequest>,
}

impl Asked {
    pub(super) fn definition(&self, at: usize) -> &[u8] {
        self.definitions[at].definition.as_deref().expect("a definition was solved")
    }

    /// The names of the steps that are there for their names.
    pub(super) fn names(&self) -> Vec<String> {
        let name = |solve: &SolveRequest| {
            let definition = Definition::parse(solve.definition.clone()?).ok()?;
            let graph = llb::read(&[definition]).ok()?;
            Some(graph.steps().find(|(_, step)| !step.title.is_empty())?.1.title.clone())
        };
        self.named.iter().filter_map(name).collect()
    }

    /// The message of the error that ended the build.
    pub(super) fn error(&self) -> String {
        let [ReturnRequest { error: Some(status), .. }] = &*self.returned else {
            panic!("not one error: {:?}", self.returned)
        };
        super::super::messages::RpcStatus::decode(&**status).expect("a status").message
    }

    pub(super) fn result(&self) -> &[u8] {
        let [ReturnRequest { result: Some(result), .. }] = &*self.returned else {
            panic!("not one result: {:?}", self.returned)
        };
        result
    }
}

/// The `Result` of a build for one platform.
pub(super) fn single(definition: &[u8]) -> Vec<u8> {
    encode_bytes(3, &reference("inner", definition))
}

pub(super) fn reference(id: &str, definition: &[u8]) -> Vec<u8> {
    Ref { id: id.to_owned(), def: Some(definition.to_vec()) }.encode_to_vec()
}

impl Engine {
    pub(super) fn new(inner: Result<Vec<u8>, Status>) -> Self {
        let inputs = HashMap::new();
        Self { inner, inputs, inputs_error: None, warnings: true, asked: Arc::default() }
    }

    /// Has the frontend serve one build, and gives what it asked.
    pub(super) async fn build(&self, options: &[(&str, &str)]) -> Asked {
        let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        self.serve(Options::new(options.collect())).await.expect("the result is taken");
        std::mem::take(&mut *self.asked.lock().expect("the build is over"))
    }

    pub(super) async fn serve(&self, options: Result<Options, OptionsError>) -> Result<(), String> {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let server = Server::builder()
            .add_service(Bridge(self.clone()))
            .serve_with_incoming(tokio_stream::once(Ok::<_, std::io::Error>(theirs)));
        let server = tokio::spawn(server);
        let served = serve(ours, options, build).await;
        server.abort();
        served
    }

    fn solve(&self, request: SolveRequest) -> Result<SolveResponse, Status> {
        let mut asked = self.asked.lock().expect("no test panics while it holds this");
        assert!(request.allow_result_return && request.allow_result_array_ref);
        if request.frontend.is_empty() {
            let is_named = request.definition.as_deref().is_some_and(|definition| {
                contains(definition, b"[ci-build] ") && !contains(definition, b"ci-build.role")
            });
            let solved = if is_named { &mut asked.named } else { &mut asked.definitions };
            solved.push(request);
            let id = format!("{}-{}", if is_named { "named" } else { "solved" }, solved.len());
            return Ok(SolveResponse { result: Some(encode_bytes(3, &encode_bytes(1, id.as_bytes()))) });
        }
        asked.frontends.push(request);
        self.inner.clone().map(|result| SolveResponse { result: Some(result) })
    }
}

#[derive(Clone)]
struct Bridge(Engine);

impl NamedService for Bridge {
    const NAME: &'static str = "moby.buildkit.v1.frontend.LLBBridge";
}

type Answer<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A method as a function from request to answer.
struct Method<F>(F);

impl<Q, A, F> UnaryService<Q> for Method<F>
where
    F: Fn(Q) -> Result<A, Status>,
    A: Send + 'static,
{
    type Response = A;
    type Future = Answer<Result<Response<A>, Status>>;

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let answer = (self.0)(request.into_inner()).map(Response::new);
        Box::pin(async { answer })
    }
}

async fn unary<Q, A>(
    request: http::Request<Body>,
    method: impl Fn(Q) -> Result<A, Status>,
) -> http::Response<Body>
where
    Q: Message + Default + 'static,
    A: Message + 'static,
{
    let max = super::super::client::MAX_MESSAGE;
    let mut grpc = Grpc::new(ProstCodec::<A, Q>::default()).max_decoding_message_size(max);
    grpc.unary(Method(method), request).await
}

impl Service<http::Request<Body>> for Bridge {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let engine = self.0.clone();
        Box::pin(async move {
            let kept = Arc::clone(&engine.asked);
            let asked = || kept.lock().expect("no test panics while it holds this");
            let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
            Ok(match method.as_str() {
                "Ping" => {
                    let caps = ApiCap { id: "gateway.warnings".to_owned(), enabled: engine.warnings };
                    let pong = PongResponse { frontend_api_caps: vec![caps] };
                    let ping = |Empty {}| {
                        asked().pings += 1;
                        Ok(pong.clone())
                    };
                    unary(request, ping).await
                }
                "Inputs" => {
                    let definitions = engine.inputs.clone();
                    let inputs = |Empty {}| match &engine.inputs_error {
                        None => Ok(InputsResponse { definitions: definitions.clone() }),
                        Some(error) => Err(error.clone()),
                    };
                    unary(request, inputs).await
                }
                "Solve" => unary(request, |solve| engine.solve(solve)).await,
                "Warn" => {
                    let warn = |warning| {
                        asked().warnings.push(warning);
                        Ok(Empty {})
                    };
                    unary(request, warn).await
                }
                "StatFile" => {
                    let stat = |StatFileRequest { r#ref, .. }| {
                        asked().run.push(r#ref);
                        Ok(Empty {})
                    };
                    unary(request, stat).await
                }
                "Return" => {
                    let finish = |finish| {
                        asked().returned.push(finish);
                        Ok(Empty {})
                    };
                    unary(request, finish).await
                }
                other => panic!("the frontend called {other}"),
            })
        })
    }
}

fn contains(definition: &[u8], text: &[u8]) -> bool {
    memchr::memmem::find(definition, text).is_some()
}
