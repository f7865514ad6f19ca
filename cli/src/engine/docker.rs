//! The Docker engine, through its HTTP interface.

use std::time::Duration;

use bollard::Docker;
use bollard::query_parameters::ImportImageOptionsBuilder;
use futures_util::TryStreamExt as _;
use jiff::SignedDuration;

use super::Endpoint;
use crate::error::{Blame, Explain};
use crate::image::{Architecture, Fingerprint, Image, ImageName};

/// A small question is answered within this time, also by an engine under load.
const PATIENCE: Duration = Duration::from_secs(30);

/// A long list, or the deletion of many gigabytes, is done within this time.
pub(super) const LONG_PATIENCE: Duration = Duration::from_secs(15 * 60);

/// A Docker engine that answers.
#[derive(Debug)]
pub struct Engine {
    pub(super) docker: Docker,
    pub(super) endpoint: Endpoint,
    /// By how much its clock is ahead of ours, as far as it was asked.
    pub(super) ahead: SignedDuration,
}

/// Why an engine did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is of a kind that we do not speak.
    #[error("cannot speak to an engine at {0}")]
    Unsupported(Endpoint),
    /// Nobody answers at the address.
    #[error("cannot reach the docker engine at {endpoint}")]
    Unreachable {
        /// Where the engine was looked for.
        endpoint: Endpoint,
        /// What happened.
        source: bollard::errors::Error,
    },
    /// The engine answered with an error.
    #[error("the docker engine at {endpoint} could not {task}")]
    Refused {
        /// Which engine.
        endpoint: Endpoint,
        /// What it was asked for.
        task: &'static str,
        /// Its answer.
        source: bollard::errors::Error,
    },
    /// The engine takes the question and does not answer.
    #[error("the docker engine at {0} takes questions and does not answer")]
    Hangs(Endpoint),
    /// The address of an engine is now another one's.
    #[error("another engine answers at {0} than the one that was there")]
    Another(Endpoint),
    /// The engine does not tell who it is.
    #[error("the engine at {0} has no identity that a lock could be about")]
    Nameless(Endpoint),
    /// The image is for another machine than the engine's.
    #[error("the binary is for {image}, but the docker engine at {endpoint} runs {engine}")]
    Foreign {
        /// Which engine.
        endpoint: Endpoint,
        /// The architecture of the image.
        image: Architecture,
        /// The architecture of the engine.
        engine: String,
    },
    /// The engine took the image and has it not, or has another.
    #[error("the docker engine at {endpoint} loaded the image, but '{name}' is not it")]
    Lost {
        /// Which engine.
        endpoint: Endpoint,
        /// The image's name.
        name: Box<ImageName>,
    },
}

impl Error {
    /// Whether there is no engine any more that could be asked for anything else.
    pub fn is_lost(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Hangs(_) => true,
            Self::Refused { source, .. } => {
                !matches!(source, bollard::errors::Error::DockerResponseServerError { .. })
            }
            _ => false,
        }
    }
}

/// What the engine told of one thing, where it is there. An engine that stumbles over one thing is not lost: 20.10 answers 500
/// for a container that it is about to remove (`daemon/inspect.go`, `getInspectData`), and would each time that it is asked.
///
/// # Errors
/// When the engine is lost.
pub fn answered<T>(answer: Result<Option<T>, Error>) -> Result<Option<T>, Error> {
    match answer {
        Err(error) if !error.is_lost() => Ok(None),
        answer => answer,
    }
}

impl Explain for Error {
    fn blame(&self) -> Blame {
        match self {
            Error::Unsupported(_) | Error::Foreign { .. } => Blame::Input,
            Error::Unreachable { .. }
            | Error::Refused { .. }
            | Error::Hangs(_)
            | Error::Another(_)
            | Error::Nameless(_)
            | Error::Lost { .. } => Blame::Surroundings,
        }
    }

    fn help(&self) -> Vec<String> {
        match self {
            Error::Unsupported(_) => vec!["unix:// and tcp:// (without TLS) work".into()],
            Error::Unreachable { source, .. } if is_forbidden(source) => vec![
                "this user may not use the socket: root may, and the group that it belongs to, often docker"
                    .into(),
                "DOCKER_HOST names another engine, such as unix:///run/user/1000/docker.sock".into(),
            ],
            Error::Unreachable { .. } => vec![
                "is the engine running, and may this user reach it? `docker version` asks the same".into(),
                "DOCKER_HOST names another engine, such as unix:///run/user/1000/docker.sock".into(),
            ],
            Error::Foreign { engine, .. } => vec![format!("give a binary that was built for {engine}")],
            Error::Nameless(_) => {
                vec!["name the store with --store, the same for all who use the engine".into()]
            }
            Error::Refused { .. } | Error::Hangs(_) => vec!["the engine's log may say more".into()],
            Error::Another(_) => vec!["where it was set up anew, what it had is gone".into()],
            Error::Lost { .. } => {
                vec!["somebody may have given the name to another image meanwhile: try again".into()]
            }
        }
    }
}

/// Whether the operating system keeps this user from the engine's socket.
fn is_forbidden(error: &bollard::errors::Error) -> bool {
    let source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    std::iter::successors(source, |error| error.source())
        .filter_map(|error| error.downcast_ref::<std::io::Error>())
        .any(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
}

impl Engine {
    /// Reaches the engine and agrees with it on a version of the interface.
    ///
    /// # Errors
    /// When the address is of an unknown kind, or nobody answers there.
    pub async fn connect(endpoint: &Endpoint) -> Result<Self, Error> {
        let unreachable = |source| Error::Unreachable { endpoint: endpoint.clone(), source };
        let docker = match Docker::connect_with_host(&endpoint.address) {
            Err(bollard::errors::Error::UnsupportedURISchemeError { .. }) => {
                return Err(Error::Unsupported(endpoint.clone()));
            }
            connected => connected.map_err(unreachable)?.with_timeout(LONG_PATIENCE),
        };
        let docker = match tokio::time::timeout(PATIENCE, docker.negotiate_version()).await {
            Ok(answer) => answer.map_err(unreachable)?,
            Err(_) => return Err(Error::Hangs(endpoint.clone())),
        };
        Ok(Self { docker, endpoint: endpoint.clone(), ahead: SignedDuration::ZERO })
    }

    /// What the engine calls itself, whatever the way to it.
    ///
    /// # Errors
    /// When the engine does not say in time, or has no such name.
    pub async fn identity(&self) -> Result<String, Error> {
        let info = self.in_time(self.docker.info(), "name itself").await?;
        info.id.filter(|id| !id.is_empty()).ok_or_else(|| Error::Nameless(self.endpoint.clone()))
    }

    /// The id of the image that this name, digest or id means; none where the engine has no such image.
    ///
    /// # Errors
    /// When the engine does not say in time.
    pub async fn image_id(&self, image: &str) -> Result<Option<String>, Error> {
        let inspect = async {
            match self.docker.inspect_image(image).await {
                Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
                answer => answer.map(|found| found.id),
            }
        };
        self.in_time(inspect, "look for the image").await
    }

    /// An engine that hangs takes connections, and never answers.
    pub(super) async fn in_time<T>(
        &self,
        question: impl Future<Output = Result<T, bollard::errors::Error>>,
        task: &'static str,
    ) -> Result<T, Error> {
        self.within(PATIENCE, question, task).await
    }

    /// The same for what takes so long.
    pub(super) async fn within<T>(
        &self,
        limit: Duration,
        question: impl Future<Output = Result<T, bollard::errors::Error>>,
        task: &'static str,
    ) -> Result<T, Error> {
        match tokio::time::timeout(limit, question).await {
            Ok(answer) => answer.map_err(|source| self.refused(task, source)),
            Err(_) => Err(Error::Hangs(self.endpoint.clone())),
        }
    }

    /// Whether the engine has this very image under this name.
    ///
    /// # Errors
    /// When the engine does not say.
    pub async fn has(&self, name: &ImageName, image: &Image) -> Result<bool, Error> {
        match self.docker.inspect_image(&name.to_string()).await {
            Ok(found) => Ok(found.id.is_some_and(|id| image.has_id(&id))),
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => Ok(false),
            Err(source) => Err(self.refused("look for the image", source)),
        }
    }

    /// Whether the engine has an image under this name that its fingerprint tells to be this one.
    ///
    /// # Errors
    /// When the engine does not say in time.
    pub async fn has_alike(&self, name: &ImageName, fingerprint: &Fingerprint) -> Result<bool, Error> {
        let name = name.to_string();
        let inspect = async {
            match self.docker.inspect_image(&name).await {
                Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
                answer => answer.map(Some),
            }
        };
        let Some(found) = self.in_time(inspect, "look for the image").await? else { return Ok(false) };
        let layers = found.root_fs.and_then(|root| root.layers).unwrap_or_default();
        let entrypoint = found.config.and_then(|config| config.entrypoint).unwrap_or_default();
        Ok(fingerprint.is_of(&found.id.unwrap_or_default(), &layers, &entrypoint))
    }

    /// Loads the image under this name. An image that had the name stays, without it.
    ///
    /// # Errors
    /// When the image is for another machine, the engine refuses it, or does not have it afterwards.
    pub async fn load(&self, name: &ImageName, image: &Image) -> Result<(), Error> {
        self.check_architecture(image.architecture).await?;
        let quiet = ImportImageOptionsBuilder::new().quiet(true).build();
        let body = bollard::body_full(image.archive(name).into());
        let answers = self.docker.import_image(quiet, body, None).try_for_each(|_| async { Ok(()) });
        answers.await.map_err(|source| self.refused("load the image", source))?;
        match self.has(name, image).await? {
            true => Ok(()),
            false => Err(Error::Lost { endpoint: self.endpoint.clone(), name: Box::new(name.clone()) }),
        }
    }

    /// An image for another machine loads well, and no build finds it.
    async fn check_architecture(&self, image: Architecture) -> Result<(), Error> {
        let version =
            self.docker.version().await.map_err(|source| self.refused("name its version", source))?;
        match version.arch {
            Some(engine) if engine != image.as_str() => {
                Err(Error::Foreign { endpoint: self.endpoint.clone(), image, engine })
            }
            _ => Ok(()),
        }
    }

    pub(super) fn refused(&self, task: &'static str, source: bollard::errors::Error) -> Error {
        Error::Refused { endpoint: self.endpoint.clone(), task, source }
    }
}
