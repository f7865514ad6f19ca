//! Who we are to a registry, from docker's own configuration (`docker login`).

use docker_credential::{CredentialRetrievalError, DockerCredential};

use super::login::Login;
use crate::docker_config::{DockerConfig, DockerConfigError};
use crate::error::{Blame, Explain};

/// Why docker's credentials are not to be had.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// Docker's configuration is unreadable.
    #[error(transparent)]
    Configuration(#[from] DockerConfigError),
    /// The login in it, or the helper that it names, is broken.
    #[error("cannot read docker's credentials for '{registry}': {reason}")]
    Unreadable {
        /// The registry.
        registry: String,
        /// What is wrong.
        reason: String,
    },
}

impl Explain for CredentialsError {
    fn blame(&self) -> Blame {
        Blame::Input
    }
    fn help(&self) -> Vec<String> {
        match self {
            CredentialsError::Configuration(error) => error.help(),
            CredentialsError::Unreadable { registry, .. } => {
                vec![format!("`docker login {registry}` writes the credentials anew")]
            }
        }
    }
}

/// The user and the password that docker has for the registry on this host, where it has such.
///
/// # Errors
/// When docker's configuration or its credential helper fails.
pub fn password_for(registry: &str) -> Result<Option<(String, String)>, CredentialsError> {
    Ok(match login_for(registry)? {
        Login::Basic(user, password) => Some((user, password)),
        Login::Anonymous | Login::Identity(_) => None,
    })
}

/// Who docker is to the registry on this host.
///
/// # Errors
/// When docker's configuration or its credential helper fails.
pub(super) fn login_for(registry: &str) -> Result<Login, CredentialsError> {
    // Docker keeps the login to its own registry under this address.
    let server = match registry {
        "docker.io" | "index.docker.io" => "https://index.docker.io/v1/",
        registry => registry,
    };
    let unreadable = |reason: String| CredentialsError::Unreadable { registry: registry.into(), reason };
    let Some(config) = DockerConfig::of(|name| std::env::var_os(name)).read("config.json")? else {
        return Ok(Login::Anonymous);
    };
    match docker_credential::get_credential_from_reader(config.as_slice(), server) {
        Ok(DockerCredential::UsernamePassword(user, password)) => Ok(Login::Basic(user, password)),
        Ok(DockerCredential::IdentityToken(token)) => Ok(Login::Identity(token)),
        Err(error) => match reason(&error) {
            None => Ok(Login::Anonymous),
            Some(reason) => Err(unreadable(reason)),
        },
    }
}

/// What to tell of an error; nothing when it only means that there is no login. What a helper prints on
/// stdout may be a secret, so it is not told.
fn reason(error: &CredentialRetrievalError) -> Option<String> {
    use CredentialRetrievalError::*;
    match error {
        NoCredentialConfigured => None,
        // The one sentence by which docker's helpers say that they know no such server.
        HelperFailure { stdout, .. } if stdout.contains("credentials not found in native keychain") => None,
        HelperFailure { helper, stderr, .. } => {
            Some(format!("{helper} failed {}", stderr.trim()).trim().to_owned())
        }
        HelperCommunicationError => Some("the credential helper cannot be run".into()),
        MalformedHelperResponse => Some("the credential helper's answer makes no sense".into()),
        ConfigNotFound | ConfigReadError => Some("config.json is not what docker writes".into()),
        CredentialDecodingError => Some("the login is not base64 of user:password".into()),
        CredentialMismatchError => Some("the login is there twice, and differs".into()),
    }
}
