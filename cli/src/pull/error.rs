//! Why an image is not in the engine.

use std::time::Duration;

use super::content::Failed;
use crate::engine;
use crate::error::{Blame, Explain};
use crate::image::Digest;
use crate::lapse::shown;
use crate::registry::{CredentialsError, Reference, Tried};
use crate::store;

/// Why an image is not in the engine under the name that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine does not do its part.
    #[error(transparent)]
    Engine(Box<engine::Error>),
    /// The store's state is not to be had.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// What is on its way cannot be kept.
    #[error(transparent)]
    Spool(store::Error),
    /// Docker's credentials are not to be had.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// It is not to be had.
    #[error("cannot pull '{image}': {failed}")]
    Failed {
        /// The image.
        image: Box<Reference>,
        /// Why.
        failed: Box<Failed>,
    },
    /// The time is over.
    #[error("gave up pulling '{image}' after {}{}", shown(*deadline), history(tried))]
    Deadline {
        /// The image.
        image: Box<Reference>,
        /// The time.
        deadline: Duration,
        /// What sources did not give until then.
        tried: Vec<Tried>,
    },
    /// Nobody can be served on this host.
    #[error("cannot {task}")]
    Host {
        /// What was tried.
        task: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// The engine has another image under the name, or none.
    #[error("the engine pulled '{image}', but '{name}' is not it")]
    Lost {
        /// The image.
        image: Box<Reference>,
        /// What the engine was asked for.
        name: String,
    },
    /// The engine has the image, but not under its digest.
    #[error("the engine has '{image}' as {id}, but does not know it by its digest")]
    Unnamed {
        /// The image.
        image: Box<Reference>,
        /// Its id.
        id: Digest,
        /// What the engine said.
        source: Box<engine::Error>,
    },
}

impl From<engine::Error> for Error {
    fn from(error: engine::Error) -> Self {
        Self::Engine(Box::new(error))
    }
}

/// The last failure of each source.
fn history(tried: &[Tried]) -> String {
    let mut last: Vec<&Tried> = Vec::new();
    for tried in tried.iter().rev() {
        if !last.iter().any(|known| known.source == tried.source) {
            last.insert(0, tried);
        }
    }
    last.iter().map(|Tried { source, what, failure }| format!("; {source}: {what}: {failure}")).collect()
}

impl Explain for Error {
    fn blame(&self) -> Blame {
        match self {
            Self::Engine(error) => error.blame(),
            Self::Store(error) | Self::Spool(error) => error.blame(),
            Self::Credentials(error) => error.blame(),
            Self::Failed { failed, .. } => match failed.as_ref() {
                Failed::Platform { .. } => Blame::Input,
                Failed::Unknown(_) => Blame::Bug,
                Failed::Exhausted(_) | Failed::Disk { .. } => Blame::Surroundings,
            },
            Self::Deadline { .. } | Self::Host { .. } | Self::Lost { .. } | Self::Unnamed { .. } => {
                Blame::Surroundings
            }
        }
    }

    fn help(&self) -> Vec<String> {
        match self {
            Self::Engine(error) => error.help(),
            Self::Store(error) => error.help(),
            Self::Credentials(error) => error.help(),
            Self::Failed { failed, image } => match failed.as_ref() {
                Failed::Exhausted(exhausted) if exhausted.is_denied() => {
                    vec![format!("`docker login {}` keeps the credentials to use", image.registry())]
                }
                Failed::Platform { .. } => vec!["--platform chooses another".into()],
                Failed::Disk { .. } => vec!["--spool names a directory with more room".into()],
                Failed::Exhausted(_) | Failed::Unknown(_) => Vec::new(),
            },
            Self::Host { .. } => Vec::new(),
            Self::Deadline { .. } => vec!["--deadline gives it more time".into()],
            Self::Spool(_) => vec!["--spool names another directory for what is on its way".into()],
            Self::Lost { .. } => {
                vec!["somebody may have deleted it, or given its name away, meanwhile: try again".into()]
            }
            Self::Unnamed { .. } => vec![
                "an engine that keeps images by a graph driver takes a name with a digest only from the registry itself"
                    .into(),
                "pull the image by a tag, or let the engine reach that registry".into(),
            ],
        }
    }
}
