//! HTTP/2 to an engine's BuildKit, over a connection to the engine that is turned into one (`POST /grpc`).

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

/// Both directions of a stream.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

const REQUEST: &[u8] = b"POST /grpc HTTP/1.1\r\nHost: engine\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n";

/// The longest head of an answer that is read, in bytes.
const LONGEST: usize = 16 * 1024;

/// Connects to the engine at an address as `DOCKER_HOST` has it.
///
/// # Errors
/// The address is of another kind than `unix://` and `tcp://`, nobody answers, or the engine has no BuildKit.
pub(super) async fn connect(address: &str) -> io::Result<Box<dyn Stream>> {
    let mut stream: Box<dyn Stream> = if let Some(path) = address.strip_prefix("unix://") {
        Box::new(UnixStream::connect(path).await?)
    } else if let Some(host) = address.strip_prefix("tcp://").or_else(|| address.strip_prefix("http://")) {
        Box::new(TcpStream::connect(host.trim_end_matches('/')).await?)
    } else {
        return Err(io::ErrorKind::Unsupported.into());
    };
    stream.write_all(REQUEST).await?;
    let mut head = Vec::new();
    // By the byte: what follows is HTTP/2 already.
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= LONGEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        head.push(stream.read_u8().await?);
    }
    let is_switched = head.starts_with(b"HTTP/1.1 101 ");
    if is_switched { Ok(stream) } else { Err(io::ErrorKind::Unsupported.into()) }
}
