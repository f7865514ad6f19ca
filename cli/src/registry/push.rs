//! Pushing the frontend's image.

use oci_client::client::Client;
use oci_client::errors::{OciDistributionError, OciEnvelope, OciErrorCode};
use oci_client::secrets::RegistryAuth;
use oci_client::{Reference, RegistryOperation};

use super::transport::{Transport, connect, is_unreachable};
use crate::error::{Blame, Explain};
use crate::image::{Blob, Image, ImageName, MANIFEST};

/// Why an image is not in the registry.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The registry cannot be talked to.
    #[error("cannot reach the registry '{registry}'")]
    Unreachable {
        /// The registry.
        registry: String,
        /// What was tried.
        choices: &'static [Transport],
        /// What happened at the last of them.
        source: OciDistributionError,
    },
    /// The registry does not know us, or does not let us.
    #[error("the registry '{registry}' does not let us push '{name}': {answer}")]
    Denied {
        /// The registry.
        registry: String,
        /// The image's name.
        name: ImageName,
        /// What it said.
        answer: String,
    },
    /// The registry answered with another error, or stopped answering.
    #[error("cannot push '{name}': {answer}")]
    Failed {
        /// The image's name.
        name: ImageName,
        /// What it said.
        answer: String,
    },
}

impl Explain for PushError {
    fn blame(&self) -> Blame {
        Blame::Surroundings
    }

    fn help(&self) -> Vec<String> {
        match self {
            PushError::Unreachable { choices: [Transport::Tls], .. } => vec![
                "SSL_CERT_FILE names a file with the certificates to trust".into(),
                "--insecure takes any certificate, and a registry without TLS".into(),
            ],
            PushError::Unreachable { .. } | PushError::Failed { .. } => Vec::new(),
            PushError::Denied { registry, .. } => {
                vec![format!("`docker login {registry}` keeps the credentials to use")]
            }
        }
    }
}

/// Pushes the image under this name: what the registry lacks of it, and the manifest last.
///
/// # Errors
/// When the registry cannot be reached, denies it, or fails.
pub async fn push(
    name: &ImageName,
    image: &Image,
    credentials: &RegistryAuth,
    insecure: bool,
) -> Result<(), PushError> {
    let reference = name.reference();
    let choices = Transport::choices(reference.resolve_registry(), insecure);
    let pushed = async {
        let client = connect(reference, credentials, RegistryOperation::Push, choices).await?;
        for blob in [&image.layer, &image.config] {
            push_blob(&client, reference, blob).await?;
        }
        let media_type = MANIFEST.parse().expect("a media type is visible ASCII");
        client.push_manifest_raw(reference, image.manifest.bytes.clone(), media_type).await
    };
    pushed.await.map(drop).map_err(|error| explain(name, choices, error))
}

async fn push_blob(client: &Client, reference: &Reference, blob: &Blob) -> Result<(), OciDistributionError> {
    let digest = blob.digest.as_str();
    // A registry that does not say whether it has the blob gets it again.
    if !client.blob_exists(reference, digest).await.unwrap_or(false) {
        client.push_blob(reference, blob.bytes.clone(), digest).await?;
    }
    Ok(())
}

fn explain(name: &ImageName, choices: &'static [Transport], source: OciDistributionError) -> PushError {
    let (name, registry) = (name.clone(), name.registry().to_owned());
    if is_unreachable(&source) {
        return PushError::Unreachable { registry, choices, source };
    }
    match answer(&source) {
        (Answer::Denied, answer) => PushError::Denied { registry, name, answer },
        (Answer::Other, answer) => PushError::Failed { name, answer },
    }
}

enum Answer {
    Denied,
    Other,
}

/// What a registry's error means, and what it says to a person. Its body is an envelope of errors by the
/// distribution specification, but need not be.
fn answer(error: &OciDistributionError) -> (Answer, String) {
    use OciDistributionError::{AuthenticationFailure, RegistryError, ServerError, UnauthorizedError};
    match error {
        AuthenticationFailure(body) => (Answer::Denied, said(body)),
        UnauthorizedError { .. } => (Answer::Denied, "authentication required".into()),
        ServerError { code: code @ (401 | 403), message, .. } => {
            (Answer::Denied, format!("{} ({code})", said(message)))
        }
        ServerError { code, message, .. } => (Answer::Other, format!("{} ({code})", said(message))),
        RegistryError { envelope, .. } => {
            let denies =
                |code: &OciErrorCode| matches!(code, OciErrorCode::Unauthorized | OciErrorCode::Denied);
            let denied = envelope.errors.iter().any(|error| denies(&error.code));
            (if denied { Answer::Denied } else { Answer::Other }, messages(envelope))
        }
        other => (Answer::Other, other.to_string()),
    }
}

fn said(body: &str) -> String {
    match serde_json::from_str::<OciEnvelope>(body) {
        Ok(envelope) => messages(&envelope),
        Err(_) if body.trim().is_empty() => "it does not say why".into(),
        Err(_) => body.trim().to_owned(),
    }
}

fn messages(envelope: &OciEnvelope) -> String {
    let message = |error: &oci_client::errors::OciError| match error.message.as_str() {
        "" => format!("{:?}", error.code),
        message => message.to_owned(),
    };
    envelope.errors.iter().map(message).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(code: u16, body: &str) -> String {
        let error = OciDistributionError::ServerError { code, url: String::new(), message: body.into() };
        let name = "registry.example/frontend:1".parse().unwrap();
        crate::error::Failure::from(explain(&name, &[Transport::Tls], error)).to_string()
    }

    #[test]
    fn a_registrys_answer_is_told_in_its_own_words() {
        let denied = r#"{"errors":[{"code":"DENIED","message":"not yours","detail":{"long":"story"}}]}"#;
        insta::assert_snapshot!(read(403, denied), @r"
        error: the registry 'registry.example' does not let us push 'registry.example/frontend:1': not yours (403)
          help: `docker login registry.example` keeps the credentials to use
        ");
        insta::assert_snapshot!(
            read(507, "<b>disk full</b>\n"),
            @"error: cannot push 'registry.example/frontend:1': <b>disk full</b> (507)"
        );
        insta::assert_snapshot!(
            read(500, ""),
            @"error: cannot push 'registry.example/frontend:1': it does not say why (500)"
        );
    }
}
