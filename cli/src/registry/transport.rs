//! How to talk to a registry: with TLS, or without it where docker does so too.

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
