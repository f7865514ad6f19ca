//! Which hosts are this one.

use std::net::IpAddr;

/// Whether the host, with its port or without, is on the loopback: by its name or its address, without asking anybody.
pub(crate) fn is_loopback(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => host,
        _ => authority,
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_loopback_is_this_host() {
        for host in ["localhost", "localhost:5000", "127.0.0.1", "127.8.9.1:80", "[::1]:5000", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.example", "10.0.0.1:5000", "registry.example", "127.0.0.1.example:5000", ""] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
