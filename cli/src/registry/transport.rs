//! How to talk to a registry: with TLS, or without it where docker does so too.

use std::time::Duration;

use oci_client::client::{Client, ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth;
use oci_client::{Reference, RegistryOperation};

use crate::loopback::is_loopback;

/// One way to talk to a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// TLS, with a certificate that is trusted.
    Tls,
    /// TLS, with any certificate.
    UnverifiedTls,
    /// No TLS.
    Plain,
}

impl Transport {
    /// What to try, in this order, as docker does: a registry that may be insecure can still have TLS, and
    /// one on this host may be insecure.
    pub(super) fn choices(registry: &str, insecure: bool) -> &'static [Transport] {
        if insecure || is_loopback(registry) {
            &[Transport::UnverifiedTls, Transport::Plain]
        } else {
            &[Transport::Tls]
        }
    }
}

/// A client that the registry knows and lets do this, over the first transport that leads to it.
pub(super) async fn connect(
    reference: &Reference,
    credentials: &RegistryAuth,
    operation: RegistryOperation,
    choices: &[Transport],
) -> Result<Client, OciDistributionError> {
    // It fails where a provider is there already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut unreachable = None;
    for transport in choices {
        let client = Client::try_from(configuration(reference.resolve_registry(), *transport))?;
        match client.auth(reference, credentials, operation).await {
            Ok(_) => return Ok(client),
            Err(error) if is_unreachable(&error) => unreachable = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(unreachable.unwrap_or(OciDistributionError::GenericError(None)))
}

/// Whether the request did not get as far as the registry.
pub(super) fn is_unreachable(error: &OciDistributionError) -> bool {
    matches!(error, OciDistributionError::RequestError(request) if request.is_connect())
}

fn configuration(registry: &str, transport: Transport) -> ClientConfig {
    // A proxy would look for this host's registry on its own host. Naming a proxy here, and then using it for
    // nothing, is what keeps the client from the one in the environment.
    let no_proxy = is_loopback(registry).then(|| String::from("localhost,127.0.0.0/8,::1"));
    let proxy = no_proxy.as_ref().map(|_| String::from("http://localhost"));
    ClientConfig {
        protocol: if transport == Transport::Plain { ClientProtocol::Http } else { ClientProtocol::Https },
        accept_invalid_certificates: transport == Transport::UnverifiedTls,
        // As long as docker waits.
        connect_timeout: Some(Duration::from_secs(30)),
        user_agent: concat!("ci-build/", env!("CARGO_PKG_VERSION")),
        http_proxy: proxy.clone(),
        https_proxy: proxy,
        no_proxy,
        ..ClientConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_loopback_addresses_are_insecure_unasked() {
        use Transport::{Plain, Tls, UnverifiedTls};
        assert_eq!(Transport::choices("localhost:5000", false), [UnverifiedTls, Plain]);
        assert_eq!(Transport::choices("10.0.0.1:5000", false), [Tls]);
        assert_eq!(Transport::choices("10.0.0.1:5000", true), [UnverifiedTls, Plain]);
    }
}
