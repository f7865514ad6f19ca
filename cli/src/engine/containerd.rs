//! containerd, through its gRPC interface: the few messages that are needed, written by hand.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use http::uri::PathAndQuery;
use prost::Message;
use tonic::client::Grpc;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::error::{Blame, Explain};

/// Where containerd listens unless it is told otherwise.
pub const DEFAULT: &str = "/run/containerd/containerd.sock";

/// A small question is answered within this time, also by an engine under load.
const PATIENCE: Duration = Duration::from_secs(30);

/// The absolute path of containerd's socket, with or without `unix://` before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(String);

/// Why text is no address of containerd.
#[derive(Debug, thiserror::Error)]
#[error("the address of containerd is the absolute path of its socket, such as {DEFAULT}")]
pub struct AddressError;

/// Why containerd did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody answers at the address.
    #[error("cannot reach containerd at {address}")]
    Unreachable {
        /// Where it was looked for.
        address: Address,
        /// What happened.
        source: tonic::transport::Error,
    },
    /// It answered with an error.
    #[error("containerd at {address} could not {task}: {}", source.message())]
    Refused {
        /// Which containerd.
        address: Address,
        /// What it was asked for.
        task: &'static str,
        /// Its answer.
        source: Box<Status>,
    },
    /// It takes the question and does not answer.
    #[error("containerd at {0} takes questions and does not answer")]
    Hangs(Address),
    /// It does not tell who it is.
    #[error("containerd at {0} has no identity that a lock could be about")]
    Nameless(Address),
}

/// A containerd, seen in one of its namespaces.
#[derive(Debug)]
pub struct Containerd {
    grpc: Grpc<Channel>,
    address: Address,
    namespace: AsciiMetadataValue,
}

/// `google.protobuf.Empty`.
#[derive(Clone, PartialEq, Message)]
struct Empty {}

/// The answer of `containerd.services.introspection.v1.Introspection/Server`, as far as it is read.
#[derive(Clone, PartialEq, Message)]
struct Server {
    #[prost(string, tag = "1")]
    uuid: String,
}

/// What `containerd.services.images.v1.Images/Get` is asked.
#[derive(Clone, PartialEq, Message)]
struct GetImage {
    #[prost(string, tag = "1")]
    name: String,
}

/// Its answer, as far as it is read.
#[derive(Clone, PartialEq, Message)]
struct GotImage {
    #[prost(message, optional, tag = "1")]
    image: Option<Image>,
}

#[derive(Clone, PartialEq, Message)]
struct Image {
    #[prost(message, optional, tag = "3")]
    target: Option<Descriptor>,
}

#[derive(Clone, PartialEq, Message)]
struct Descriptor {
    #[prost(string, tag = "2")]
    digest: String,
}

impl Containerd {
    /// Reaches containerd, to see what is in this namespace.
    ///
    /// # Errors
    /// When nobody answers there.
    pub async fn connect(address: &Address, namespace: &Namespace) -> Result<Self, Error> {
        let unreachable = |source| Error::Unreachable { address: address.clone(), source };
        let endpoint = Endpoint::from_shared(format!("unix://{}", address.0)).map_err(unreachable)?;
        let channel = match tokio::time::timeout(PATIENCE, endpoint.connect()).await {
            Ok(channel) => channel.map_err(unreachable)?,
            Err(_) => return Err(Error::Hangs(address.clone())),
        };
        Ok(Self { grpc: Grpc::new(channel), address: address.clone(), namespace: namespace.0.clone() })
    }

    /// What containerd calls itself. It keeps that in a file of its root directory (`server/introspection`), so this is
    /// the root's identity, whatever the way to the socket and wherever the root is mounted.
    ///
    /// # Errors
    /// When it does not say in time, or has no such name.
    pub async fn server(&self) -> Result<String, Error> {
        let method = "/containerd.services.introspection.v1.Introspection/Server";
        let Server { uuid } =
            self.call(method, Empty {}).await.map_err(|status| self.failed("name itself", status))?;
        if uuid.is_empty() { Err(Error::Nameless(self.address.clone())) } else { Ok(uuid) }
    }

    /// The digest of the image that this name means; none where the namespace has no such image.
    ///
    /// # Errors
    /// When containerd does not say in time.
    pub async fn image_id(&self, image: &str) -> Result<Option<String>, Error> {
        let method = "/containerd.services.images.v1.Images/Get";
        match self.call::<_, GotImage>(method, GetImage { name: image.into() }).await {
            Ok(found) => Ok(found.image.and_then(|image| image.target).map(|target| target.digest)),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(self.failed("look for the image", status)),
        }
    }

    async fn call<Q, A>(&self, method: &'static str, question: Q) -> Result<A, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut request = Request::new(question);
        request.metadata_mut().insert("containerd-namespace", self.namespace.clone());
        let mut grpc = self.grpc.clone();
        let call = async {
            grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
            let codec = ProstCodec::<Q, A>::default();
            Ok(grpc.unary(request, PathAndQuery::from_static(method), codec).await?.into_inner())
        };
        let late = Status::deadline_exceeded("no answer");
        tokio::time::timeout(PATIENCE, call).await.unwrap_or(Err(late))
    }

    fn failed(&self, task: &'static str, status: Status) -> Error {
        let address = self.address.clone();
        match status.code() {
            Code::DeadlineExceeded => Error::Hangs(address),
            _ => Error::Refused { address, task, source: Box::new(status) },
        }
    }
}

impl Explain for Error {
    fn blame(&self) -> Blame {
        Blame::Surroundings
    }

    fn help(&self) -> Vec<String> {
        match self {
            Self::Unreachable { .. } => vec![
                "is containerd running, and may this user reach it? `ctr version` asks the same".into(),
                "--containerd=ADDRESS names another socket".into(),
            ],
            Self::Refused { .. } | Self::Hangs(_) => vec!["containerd's log may say more".into()],
            Self::Nameless(_) => {
                vec!["name the store with --store, the same for all who use this containerd".into()]
            }
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let path = text.strip_prefix("unix://").unwrap_or(text);
        let is_usable = Path::new(path).is_absolute() && !path.contains(char::is_whitespace);
        if is_usable { Ok(Self(path.into())) } else { Err(AddressError) }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A namespace of containerd, such as `default` or `k8s.io`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace(AsciiMetadataValue);

/// Why text is no name of a namespace.
#[derive(Debug, thiserror::Error)]
#[error("a namespace has 1 to 76 letters, digits, and between them '.', '_' and '-'")]
pub struct NamespaceError;

impl FromStr for Namespace {
    type Err = NamespaceError;

    /// As containerd has it (`identifiers.Validate`).
    fn from_str(text: &str) -> Result<Self, NamespaceError> {
        let is_between = |c: char| matches!(c, '.' | '_' | '-');
        let is_name = (1..=76).contains(&text.len())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || is_between(c))
            && !text.starts_with(is_between)
            && !text.ends_with(is_between);
        let value = AsciiMetadataValue::try_from(text).ok().filter(|_| is_name);
        value.map(Self).ok_or(NamespaceError)
    }
}

impl std::fmt::Display for Namespace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Letters and digits, which are text.
        f.write_str(self.0.to_str().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_path_and_a_namespace_a_name() {
        let address = |text: &str| text.parse::<Address>().map(|address| address.to_string()).ok();
        assert_eq!(address("/run/c.sock").unwrap(), "/run/c.sock");
        assert_eq!(address("unix:///run/c.sock").unwrap(), "/run/c.sock");
        assert_eq!(["", "c.sock", "tcp://h:1", "unix://c.sock"].map(address), [const { None }; 4]);
        let is_name = |text: &str| text.parse::<Namespace>().is_ok();
        assert!(["default", "k8s.io", "a-b_c", "1"].into_iter().all(is_name));
        assert!(!["", "-a", "a.", "a b", "a/b", "ä", &"a".repeat(77)].into_iter().any(is_name));
    }
}
