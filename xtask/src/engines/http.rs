//! The two questions that are asked of an engine without its command line.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result};

/// The body of a successful answer; `None` for any other answer, or when nobody answers yet.
pub(super) fn get(socket: &Path, path: &str) -> Option<Vec<u8>> {
    const PATIENCE: Duration = Duration::from_secs(5);
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    // Version 1.0: the answer comes in one piece and ends with the connection.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: engine\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    parse(&answer).map(<[u8]>::to_vec)
}

/// What the engine calls its version.
///
/// # Errors
/// When it does not tell.
pub(super) fn version(socket: &Path) -> Result<String> {
    let answer = get(socket, "/version").context("the engine does not tell its version")?;
    let answer: serde_json::Value =
        serde_json::from_slice(&answer).context("cannot understand the engine's version")?;
    answer["Version"].as_str().map(str::to_owned).context("the engine's answer holds no version")
}

fn parse(answer: &[u8]) -> Option<&[u8]> {
    const BLANK: &[u8] = b"\r\n\r\n";
    let head = answer.windows(BLANK.len()).position(|window| window == BLANK)?;
    let status = std::str::from_utf8(&answer[..head]).ok()?.split_ascii_whitespace().nth(1)?;
    (status == "200").then(|| &answer[head + BLANK.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_success_has_a_body() {
        assert_eq!(parse(b"HTTP/1.0 200 OK\r\nApi-Version: 1.41\r\n\r\nOK"), Some(&b"OK"[..]));
        assert_eq!(parse(b"HTTP/1.0 503 Service Unavailable\r\n\r\nwait"), None);
        assert_eq!(parse(b"HTTP/1.0 200 OK\r\n"), None);
        assert_eq!(parse(b""), None);
    }
}
