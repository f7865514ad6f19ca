//! Pushing the frontend's image.

use std::time::Duration;

use super::client::Client;
use super::copy::{Copier, CopyError, Repository};
use super::credentials::{CredentialsError, login_for};
use super::failure::Failure;
use super::fetch::Watch;
use super::probe::Limits;
use super::retry::Retry;
use super::source::{Address, Scheme};
use super::transport::Transport;
use crate::error::{Blame, Explain};
use crate::image::{Image, ImageName};

/// A registry may take so long to begin an answer, and may take nothing of a blob for as long.
const PATIENCE: Duration = Duration::from_secs(60);

const RETRY: Retry = Retry { times: 2, first: Duration::from_millis(200), longest: Duration::from_secs(5) };

/// Why an image is not in the registry.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// Docker's credentials are not to be had.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The registry cannot be talked to.
    #[error("cannot reach the registry '{registry}': {why}")]
    Unreachable {
        /// The registry.
        registry: String,
        /// What was tried.
        choices: &'static [Transport],
        /// What happened at the last of them.
        why: String,
    },
    /// The registry does not know us, or does not let us.
    #[error("the registry '{registry}' does not let us push '{name}': {failure}")]
    Denied {
        /// The registry.
        registry: String,
        /// The image's name.
        name: ImageName,
        /// What it said.
        failure: Failure,
    },
    /// The registry answered with another error, or stopped answering.
    #[error("cannot push '{name}': {failure}")]
    Failed {
        /// The image's name.
        name: ImageName,
        /// What it said.
        failure: Failure,
    },
}

impl Explain for PushError {
    fn blame(&self) -> Blame {
        match self {
            Self::Credentials(error) => error.blame(),
            _ => Blame::Surroundings,
        }
    }

    fn help(&self) -> Vec<String> {
        match self {
            Self::Credentials(error) => error.help(),
            Self::Unreachable { choices: [Transport::Tls], .. } => vec![
                "SSL_CERT_FILE names a file with the certificates to trust".into(),
                "--insecure takes any certificate, and a registry without TLS".into(),
            ],
            Self::Unreachable { .. } | Self::Failed { .. } => Vec::new(),
            Self::Denied { registry, .. } => {
                vec![format!("`docker login {registry}` keeps the credentials to use")]
            }
        }
    }
}

/// Pushes the image under this name: what the registry lacks of it, and the manifest last.
///
/// # Errors
/// When docker's credentials are broken, or the registry cannot be reached, denies it, or fails.
pub async fn push(name: &ImageName, image: &Image, insecure: bool) -> Result<(), PushError> {
    // Told as what it is before anybody is asked.
    login_for(name.registry())?;
    let host = name.host().to_owned();
    let client = Client::new(Address { scheme: Scheme::Usual, host, path: String::new() }, insecure);
    let limits = Limits { first_byte: PATIENCE, floor: 0, window: PATIENCE };
    let copier = Copier::new(RETRY, limits, 1, Watch::new(|_| {}));
    let to = Repository { client: &client, name: name.repository() };
    copier.push(image, to, name.tag()).await.map_err(|error| explain(name, insecure, error))
}

fn explain(name: &ImageName, insecure: bool, error: CopyError) -> PushError {
    let (name, registry) = (name.clone(), name.registry().to_owned());
    match error.failure {
        Failure::Unreachable(why) | Failure::Tls(why) => {
            let choices = Transport::choices(&registry, insecure);
            PushError::Unreachable { registry, choices, why }
        }
        failure @ Failure::Status { code: 401 | 403, .. } => PushError::Denied { registry, name, failure },
        failure => PushError::Failed { name, failure },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(failure: Failure) -> String {
        let error = CopyError { registry: "registry.example".into(), what: String::new(), failure };
        let name = "registry.example/frontend:1".parse().unwrap();
        crate::error::Failure::from(explain(&name, false, error)).to_string()
    }

    #[test]
    fn a_registrys_answer_is_told_in_its_own_words() {
        let status = |code, said: &str| Failure::Status { code, said: said.into(), retry_after: None };
        insta::assert_snapshot!(told(status(403, "not yours")), @r"
        error: the registry 'registry.example' does not let us push 'registry.example/frontend:1': 403 not yours
          help: `docker login registry.example` keeps the credentials to use
        ");
        insta::assert_snapshot!(
            told(status(507, "disk full")),
            @"error: cannot push 'registry.example/frontend:1': 507 disk full"
        );
        insta::assert_snapshot!(told(Failure::Tls("UnknownIssuer".into())), @r"
        error: cannot reach the registry 'registry.example': UnknownIssuer
          help: SSL_CERT_FILE names a file with the certificates to trust
          help: --insecure takes any certificate, and a registry without TLS
        ");
    }
}
