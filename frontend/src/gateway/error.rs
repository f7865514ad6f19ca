//! What ends a build.

use std::borrow::Cow;

use prost::Message;
use tonic::{Code, Status};

use super::messages::{RpcStatus, number};
use super::options::OptionsError;
use crate::llb::wire::{self, Value, WireError};
use crate::llb::{DefinitionError, ReadError, WriteError};
use crate::plan::CommentError;

/// An error of a build. [`GatewayError::Engine`] is somebody else's and is passed on as it came; the others are ours.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The engine's answer, or that of the Dockerfile frontend behind it.
    #[error("{}", .0.message())]
    Engine(Status),
    /// The user asked for something that does not exist.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// A comment in the Dockerfile that makes no sense.
    #[error("{file}:{}: {error}", error.line)]
    Comment {
        /// What the build calls the file.
        file: String,
        /// What is wrong.
        error: CommentError,
    },
    /// A message of the build does not fit.
    #[error(
        "the build definition does not fit into a message of 16 MiB, which is all that BuildKit carries: {0}\n  help: build fewer stages at once with --target"
    )]
    TooLarge(String),
    /// The engine answered without definitions.
    #[error(
        "the engine gave back no build definition, so its cache mounts cannot be kept apart\n  help: this takes Docker 20.10 or BuildKit 0.8; with policy=off the build runs as it is"
    )]
    NoDefinition,
    /// A definition that we cannot read.
    #[error(
        "{0}\n  help: with policy=off the build runs as it is; please report this with the engine's version"
    )]
    Definition(#[from] DefinitionError),
    /// A build that is no graph.
    #[error(
        "{0}\n  help: with policy=off the build runs as it is; please report this with the engine's version"
    )]
    Read(#[from] ReadError),
    /// A definition that we cannot change.
    #[error("{0}\n  help: with policy=off the build runs as it is; a newer ci-build may know this")]
    Write(#[from] WriteError),
    /// A plan that leaves hazards: a bug.
    #[error(
        "this build's cache mounts are still in conflict after they were mended\n  help: with policy=off the build runs as it is; this is a bug in ci-build, please report it with the Dockerfile"
    )]
    Endless,
    /// The engine's answer is not what its protocol says.
    #[error("the engine's answer cannot be read: {0}\n  help: please report this with the engine's version")]
    Protocol(#[from] WireError),
}

impl From<Status> for GatewayError {
    fn from(status: Status) -> Self {
        let too_large = match status.code() {
            Code::ResourceExhausted => status.message().contains("message larger than max"),
            // tonic's own words for a message that it will not send or take
            Code::OutOfRange => status.message().contains("message length too large"),
            _ => false,
        };
        if too_large { Self::TooLarge(status.message().to_owned()) } else { Self::Engine(status) }
    }
}

impl GatewayError {
    /// The encoded `google.rpc.Status` for the engine. An engine's own goes back with its details: they hold the
    /// positions in the Dockerfile.
    #[must_use]
    pub fn to_status(&self) -> Vec<u8> {
        match self {
            // Whatever cannot be read goes back as it came.
            Self::Engine(status) if !status.details().is_empty() => {
                turned(status.details()).unwrap_or(Cow::Borrowed(status.details())).into_owned()
            }
            Self::Engine(status) => encode(status.code(), status.message()),
            // Any other code would be put in front of the message.
            _ => encode(Code::Unknown, &self.to_string()),
        }
    }
}

/// The details of a status the other way round. The engine wraps an error in them in the order of the list, and lists them
/// from the outside inwards (`util/grpcerrors`, `FromGRPC` and `ToGRPC`): so each way through a gateway turns them, and
/// this turns them back. Traces of the stack are listed from the inside, and stay.
fn turned(status: &[u8]) -> Result<Cow<'_, [u8]>, WireError> {
    let mut typed = Vec::new();
    let mut order = Vec::new();
    for field in wire::fields(status) {
        let field = field?;
        if let (number::STATUS_DETAILS, Value::Bytes(detail)) = (field.number, field.value) {
            let kind = wire::get_bytes(detail, number::ANY_TYPE_URL)?.unwrap_or_default();
            if !kind.ends_with(b"/stack.Stack+json") {
                typed.push(order.len());
            }
            order.push(order.len());
        }
    }
    for (place, from) in typed.iter().zip(typed.iter().rev()) {
        order[*place] = *from;
    }
    wire::permute(status, number::STATUS_DETAILS, &order)
}

fn encode(code: Code, message: &str) -> Vec<u8> {
    RpcStatus { code: code.into(), message: message.to_owned() }.encode_to_vec()
}
