//! A question that bollard does not ask: it drops the list of build cache from the answers of engines before 29.

use std::io::{Error, ErrorKind, Result};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::Endpoint;

const BLANK: &[u8] = b"\r\n\r\n";

/// No list is longer, in bytes: a hundred thousand records of build cache are a tenth of it.
const LONGEST: u64 = 512 << 20;

/// The body of a successful answer. Whoever asks has a limit for the time.
///
/// # Errors
/// When the engine cannot be reached, or answers with an error: then with what it says.
pub(super) async fn get(endpoint: &Endpoint, path: &str) -> Result<Vec<u8>> {
    let address = &endpoint.address;
    if let Some(socket) = address.strip_prefix("unix://") {
        return ask(tokio::net::UnixStream::connect(socket).await?, path, LONGEST).await;
    }
    let host = address.strip_prefix("tcp://").or_else(|| address.strip_prefix("http://"));
    let host = host.ok_or_else(|| Error::from(ErrorKind::Unsupported))?;
    ask(tokio::net::TcpStream::connect(host.trim_end_matches('/')).await?, path, LONGEST).await
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, path: &str, longest: u64) -> Result<Vec<u8>> {
    // Version 1.0: the answer comes in one piece and ends with the connection.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: engine\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    if stream.take(longest + 1).read_to_end(&mut answer).await? as u64 > longest {
        return Err(Error::other(format!("an answer of more than {longest} bytes")));
    }
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

    #[test]
    fn an_answer_without_end_is_not_kept() {
        let asked = async |longest| {
            let (ours, mut engines) = tokio::io::duplex(1 << 10);
            engines.write_all(b"HTTP/1.0 200 OK\r\n\r\n0123456789").await.unwrap();
            // It goes on reading our request, and sends no more.
            engines.shutdown().await.unwrap();
            ask(ours, "/", longest).await
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            assert_eq!(asked(29).await.unwrap(), b"0123456789");
            assert_eq!(asked(28).await.unwrap_err().to_string(), "an answer of more than 28 bytes");
        });
    }
}
