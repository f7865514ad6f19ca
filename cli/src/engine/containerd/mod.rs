//! containerd, through its gRPC interface: the few messages that are needed, written by hand, a file a service.
//!
//! Field numbers are those of containerd's `api/services/*/v1/*.proto`, which 1.6 and 2.1 have in common.

use std::time::Duration;

use futures_util::{Stream, stream};
use http::uri::PathAndQuery;
use prost::Message;
use tonic::client::Grpc;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::failpoint;

mod address;
mod containers;
mod content;
mod diff;
mod error;
mod images;
mod introspection;
mod leases;
mod namespaces;
mod snapshots;
mod tasks;
mod types;

pub use address::{
    Address, AddressError, DEFAULT, Namespace, NamespaceError, VARIABLE, is_identifier, usual,
};
pub use containers::Container;
pub use content::WriteError;
pub use error::Error;
pub use leases::{Collection, Lease, Resource};
pub use snapshots::Snapshot;
pub use tasks::{Stdio, Task};
pub use types::{Descriptor, Labels, Mount};

/// A small question is answered within this time, also by an engine under load.
const PATIENCE: Duration = Duration::from_secs(30);

/// What works with processes and files is done within this time.
const LONG: Duration = Duration::from_secs(5 * 60);

/// A layer is unpacked within this time: one of many gigabytes takes minutes.
const UNPACKING: Duration = Duration::from_secs(30 * 60);

/// The largest message that containerd sends: 16 MiB (`defaults.DefaultMaxRecvMsgSize`).
const MAX_MESSAGE: usize = 16 << 20;

/// A containerd, seen in one of its namespaces.
#[derive(Debug, Clone)]
pub struct Containerd {
    grpc: Grpc<Channel>,
    address: Address,
    namespace: Namespace,
    lease: Option<AsciiMetadataValue>,
}

impl Containerd {
    /// Reaches containerd, to see what is in this namespace.
    ///
    /// # Errors
    /// When nobody answers there.
    pub async fn connect(address: &Address, namespace: &Namespace) -> Result<Self, Error> {
        let unreachable = |source| Error::Unreachable { address: address.clone(), source };
        let endpoint = Endpoint::from_shared(address.uri()).map_err(unreachable)?;
        let channel = match tokio::time::timeout(PATIENCE, endpoint.connect()).await {
            Ok(channel) => channel.map_err(unreachable)?,
            Err(_) => return Err(Error::Hangs(address.clone())),
        };
        let grpc = Grpc::new(channel).max_decoding_message_size(MAX_MESSAGE);
        Ok(Self { grpc, address: address.clone(), namespace: namespace.clone(), lease: None })
    }

    /// The same containerd, to see what is in another namespace.
    #[must_use]
    pub fn in_namespace(&self, namespace: &Namespace) -> Self {
        Self { namespace: namespace.clone(), ..self.clone() }
    }

    /// The same containerd: what it makes from now on belongs to this lease.
    #[must_use]
    pub fn leasing(&self, lease: &str) -> Self {
        Self { lease: AsciiMetadataValue::try_from(lease).ok(), ..self.clone() }
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Which of its namespaces is seen.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Asks what is answered within this time.
    async fn call<Q, A>(
        &self,
        method: &'static str,
        task: &'static str,
        patience: Duration,
        question: Q,
    ) -> Result<A, Error>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let late = |_| Err(self.failed(task, Status::deadline_exceeded("no answer")));
        tokio::time::timeout(patience, self.ask(method, task, question)).await.unwrap_or_else(late)
    }

    /// Asks what is answered at any time.
    async fn ask<Q, A>(&self, method: &'static str, task: &'static str, question: Q) -> Result<A, Error>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let answered = async {
            let mut grpc = self.ready().await?;
            let codec = ProstCodec::<Q, A>::default();
            grpc.unary(self.request(question), PathAndQuery::from_static(method), codec).await
        };
        Ok(answered.await.map_err(|status| self.failed(task, status))?.into_inner())
    }

    /// Asks what is answered in pieces, the first of which comes soon.
    async fn stream<Q, A>(
        &self,
        method: &'static str,
        task: &'static str,
        question: Q,
    ) -> Result<Streaming<A>, Error>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        self.exchange(method, task, stream::once(async { question })).await
    }

    /// Asks one thing after the other.
    async fn exchange<Q, A>(
        &self,
        method: &'static str,
        task: &'static str,
        questions: impl Stream<Item = Q> + Send + 'static,
    ) -> Result<Streaming<A>, Error>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let answered = async {
            let mut grpc = self.ready().await?;
            let codec = ProstCodec::<Q, A>::default();
            grpc.streaming(self.request(questions), PathAndQuery::from_static(method), codec).await
        };
        let answer = tokio::time::timeout(PATIENCE, answered).await;
        let answer = answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer")));
        Ok(answer.map_err(|status| self.failed(task, status))?.into_inner())
    }

    /// The next piece of an answer; none behind the last.
    async fn next<A>(&self, pieces: &mut Streaming<A>, task: &'static str) -> Result<Option<A>, Error> {
        let piece = tokio::time::timeout(LONG, pieces.message()).await;
        let piece = piece.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer")));
        piece.map_err(|status| self.failed(task, status))
    }

    /// The connection, when it takes a question: after containerd's restart it is another one.
    async fn ready(&self) -> Result<Grpc<Channel>, Status> {
        if failpoint::call_fails() {
            return Err(Status::internal("a test lets this call fail"));
        }
        let mut grpc = self.grpc.clone();
        grpc.ready().await.map_err(|error| Status::unavailable(crate::error::with_cause(&error)))?;
        Ok(grpc)
    }

    fn request<Q>(&self, question: Q) -> Request<Q> {
        let mut request = Request::new(question);
        request.metadata_mut().insert("containerd-namespace", self.namespace.value());
        if let Some(lease) = &self.lease {
            request.metadata_mut().insert("containerd-lease", lease.clone());
        }
        request
    }

    fn failed(&self, task: &'static str, status: Status) -> Error {
        let address = self.address.clone();
        match status.code() {
            Code::DeadlineExceeded => Error::Hangs(address),
            _ => Error::Refused { address, task, source: Box::new(status) },
        }
    }
}

/// A filter for what has this label, whatever its value (containerd's `filters` package).
fn with_label(label: &str) -> String {
    format!("labels.\"{label}\"")
}
