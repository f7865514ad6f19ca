//! Pushing the frontend's image.

use std::net::IpAddr;
use std::time::Duration;

use oci_client::client::{Client, ClientConfig, ClientProtocol};
use oci_client::errors::{OciDistributionError, OciErrorCode};
use oci_client::secrets::RegistryAuth;
use oci_client::{Reference, RegistryOperation};

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
        /// What happened.
        source: OciDistributionError,
    },
    /// The registry does not know us, or does not let us.
    #[error("the registry '{registry}' does not let us push '{name}'")]
    Denied {
        /// The registry.
        registry: String,
        /// The image's name.
        name: ImageName,
        /// Its answer.
        source: OciDistributionError,
    },
    /// The registry answered with another error.
    #[error("cannot push '{name}'")]
    Failed {
        /// The image's name.
        name: ImageName,
        /// Its answer.
        source: OciDistributionError,
    },
}

impl Explain for PushError {
    fn blame(&self) -> Blame {
        Blame::Surroundings
    }
    fn help(&self) -> Vec<String> {
        match self {
            PushError::Unreachable { .. } => {
                vec![
                    "a registry without TLS, or with a certificate that is not trusted, needs --insecure"
                        .into(),
                ]
            }
            PushError::Denied { registry, .. } => {
                vec![format!("`docker login {registry}` keeps the credentials to use")]
            }
            PushError::Failed { .. } => Vec::new(),
        }
    }
}

/// How to talk to a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    /// TLS, with a certificate that is trusted.
    Tls,
    /// TLS, with any certificate.
    UnverifiedTls,
    /// No TLS.
    Plain,
}

/// What to try, in this order, as docker does: an insecure registry may still have TLS, and the one on this host is
/// insecure.
fn transports(registry: &str, insecure: bool) -> &'static [Transport] {
    if insecure || is_loopback(registry) {
        &[Transport::UnverifiedTls, Transport::Plain]
    } else {
        &[Transport::Tls]
    }
}

fn is_loopback(registry: &str) -> bool {
    let host = match registry.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => host,
        _ => registry,
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
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
    let registry = name.reference().resolve_registry();
    let client = connect(name.reference(), credentials, transports(registry, insecure)).await;
    let pushed = async {
        let client = client?;
        for blob in [&image.layer, &image.config] {
            push_blob(&client, name.reference(), blob).await?;
        }
        let manifest = image.manifest.bytes.clone();
        client
            .push_manifest_raw(name.reference(), manifest, MANIFEST.parse().expect("a media type is ASCII"))
            .await
    };
    pushed.await.map(|_| ()).map_err(|source| explain(name, source))
}

/// A client that the registry knows, over the first transport that leads to it.
async fn connect(
    reference: &Reference,
    credentials: &RegistryAuth,
    transports: &[Transport],
) -> Result<Client, OciDistributionError> {
    // Fails when a provider is there already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut unreachable = None;
    for transport in transports {
        let client = Client::try_from(configuration(*transport))?;
        match client.auth(reference, credentials, RegistryOperation::Push).await {
            Ok(_) => return Ok(client),
            Err(error) if is_unreachable(&error) => unreachable = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(unreachable.unwrap_or(OciDistributionError::GenericError(None)))
}

fn configuration(transport: Transport) -> ClientConfig {
    ClientConfig {
        protocol: if transport == Transport::Plain { ClientProtocol::Http } else { ClientProtocol::Https },
        accept_invalid_certificates: transport == Transport::UnverifiedTls,
        // As long as docker waits.
        connect_timeout: Some(Duration::from_secs(30)),
        user_agent: concat!("ci-build/", env!("CARGO_PKG_VERSION")),
        ..ClientConfig::default()
    }
}

async fn push_blob(client: &Client, reference: &Reference, blob: &Blob) -> Result<(), OciDistributionError> {
    let digest = blob.digest.as_str();
    // A registry that does not say whether it has the blob gets it again.
    if !client.blob_exists(reference, digest).await.unwrap_or(false) {
        client.push_blob(reference, blob.bytes.clone(), digest).await?;
    }
    Ok(())
}

fn is_unreachable(error: &OciDistributionError) -> bool {
    matches!(error, OciDistributionError::RequestError(request) if request.is_connect() || request.is_timeout())
}

fn is_denied(error: &OciDistributionError) -> bool {
    match error {
        OciDistributionError::AuthenticationFailure(_) | OciDistributionError::UnauthorizedError { .. } => {
            true
        }
        OciDistributionError::ServerError { code, .. } => matches!(code, 401 | 403),
        OciDistributionError::RegistryError { envelope, .. } => envelope
            .errors
            .iter()
            .any(|e| matches!(e.code, OciErrorCode::Unauthorized | OciErrorCode::Denied)),
        _ => false,
    }
}

fn explain(name: &ImageName, source: OciDistributionError) -> PushError {
    let (name, registry) = (name.clone(), name.registry().to_owned());
    if is_unreachable(&source) {
        PushError::Unreachable { registry, source }
    } else if is_denied(&source) {
        PushError::Denied { registry, name, source }
    } else {
        PushError::Failed { name, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_loopback_addresses_are_insecure_unasked() {
        for host in ["localhost", "localhost:5000", "127.0.0.1", "127.8.9.1:80", "[::1]:5000"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.example", "10.0.0.1:5000", "registry.example", "127.0.0.1.example:5000", ""] {
            assert!(!is_loopback(host), "{host}");
            assert_eq!(transports(host, false), [Transport::Tls]);
            assert_eq!(transports(host, true), [Transport::UnverifiedTls, Transport::Plain]);
        }
    }
}
