//! HTTP/2 over one stream that is open already.

use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Mutex;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::unix::pipe;
use tonic::transport::{Endpoint, Error, Uri};

use super::client::Client;

/// Both directions of a stream.
trait Stream: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Stream for T {}

/// The pipes that the engine gave this process as stdin and stdout.
///
/// As pipes, not as `tokio::io::stdin`: that reads in a thread which keeps the process from ending.
pub(super) fn stdio() -> io::Result<impl AsyncRead + AsyncWrite + Send + 'static> {
    let receiver = pipe::Receiver::from_owned_fd(io::stdin().as_fd().try_clone_to_owned()?)?;
    let sender = pipe::Sender::from_owned_fd(io::stdout().as_fd().try_clone_to_owned()?)?;
    Ok(tokio::io::join(receiver, sender))
}

/// Speaks gRPC over `stream`.
///
/// # Errors
/// The other side does not speak HTTP/2.
pub(super) async fn connect(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Result<Client, Error> {
    let stream: Pin<Box<dyn Stream>> = Box::pin(stream);
    // A channel may ask again after a loss; there is just one stream, and a second request for it fails.
    let stream = Mutex::new(Some(stream));
    let connector = tower::service_fn(move |_: Uri| {
        let stream = stream.lock().ok().and_then(|mut stream| stream.take());
        async move { stream.map(TokioIo::new).ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected)) }
    });
    // An error's details hold the whole Dockerfile, and come as a header: 16 KiB, the default, are too few. The engine
    // takes messages of 16 MiB.
    let endpoint = Endpoint::from_static("http://localhost").http2_max_header_list_size(16 << 20);
    // A definition comes in one piece then, and not in windows of 64 KiB that are asked for one by one.
    let endpoint = endpoint.initial_stream_window_size(16 << 20).initial_connection_window_size(16 << 20);
    let channel = endpoint.connect_with_connector(connector).await?;
    Ok(Client::new(channel))
}
