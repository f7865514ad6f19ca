//! A question that bollard does not ask: it drops the list of build cache from the answers of engines before 29.

use std::io::{Error, ErrorKind, Result};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::Endpoint;

const BLANK: &[u8] = b"\r\n\r\n";

/// The body of a successful answer.
///
/// # Errors
/// When the engine cannot be reached, or answers with an error: then with what it says.
pub(super) async fn get(endpoint: &Endpoint, path: &str) -> Result<Vec<u8>> {
    let address = &endpoint.address;
    if let Some(socket) = address.strip_prefix("unix://") {
        return ask(tokio::net::UnixStream::connect(socket).await?, path).await;
    }
    let host = address.strip_prefix("tcp://").or_else(|| address.strip_prefix("http://"));
    let host = host.ok_or_else(|| Error::from(ErrorKind::Unsupported))?;
    ask(tokio::net::TcpStream::connect(host.trim_end_matches('/')).await?, path).await
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, path: &str) -> Result<Vec<u8>> {
    // Version 1.0: the answer comes in one piece and ends with the connection.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: engine\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    parse(&answer).map(<[u8]>::to_vec)
}

fn parse(answer: &[u8]) -> Result<&[u8]> {
    let cut = answer.windows(BLANK.len()).position(|window| window == BLANK);
    let cut = cut.ok_or_else(|| Error::from(ErrorKind::UnexpectedEof))?;
    let (head, body) = (&answer[..cut], &answer[cut + BLANK.len()..]);
    let status = head.split(|&byte| byte == b' ').nth(1);
    if status == Some(b"200") { Ok(body) } else { Err(Error::other(String::from_utf8_lossy(body))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_success_has_a_body() {
        assert_eq!(parse(b"HTTP/1.0 200 OK\r\nA: b\r\n\r\n{}").unwrap(), b"{}");
        assert_eq!(parse(b"HTTP/1.0 500 Error\r\n\r\nno").unwrap_err().to_string(), "no");
        assert!(parse(b"HTTP/1.0 200 OK\r\n").is_err());
    }
}
