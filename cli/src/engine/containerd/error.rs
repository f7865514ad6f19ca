//! How containerd refuses.

use tonic::{Code, Status};

use super::Address;
use crate::error::{Blame, Explain};

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
    /// It is another one than was there before.
    #[error("there is another containerd at {0} now")]
    Another(Address),
}

impl Error {
    /// What containerd answered.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Refused { source, .. } => Some(source.code()),
            _ => None,
        }
    }

    /// What containerd said.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        match self {
            Self::Refused { source, .. } => Some(source.message()),
            _ => None,
        }
    }

    /// Whether there is no such thing.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(Code::NotFound)
    }

    /// Whether there is such a thing already.
    #[must_use]
    pub fn is_already_there(&self) -> bool {
        self.code() == Some(Code::AlreadyExists)
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
                "--containerd=ADDRESS, and --address of `ci-build run --containerd`, name another socket"
                    .into(),
            ],
            Self::Refused { .. } | Self::Hangs(_) => vec!["containerd's log may say more".into()],
            Self::Nameless(_) => {
                vec!["name the store with --store, the same for all who use this containerd".into()]
            }
            Self::Another(_) => {
                vec!["was its root directory replaced, or its socket given to another one?".into()]
            }
        }
    }
}

/// An answer about something that need not be there.
pub(super) fn if_there<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
