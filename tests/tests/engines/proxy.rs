//! Between a client and an engine: passes everything on, but for what it refuses as the engine would.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result};
use tempfile::TempDir;

/// A socket in front of an engine's. Its threads end with this process.
pub(crate) struct Proxy {
    dir: TempDir,
}

/// What is refused, and how.
pub(crate) struct Refusal {
    /// Whether a request is refused: its first line, such as `DELETE /v1.41/images/x HTTP/1.1`, tells.
    pub(crate) of: Box<dyn Fn(&str) -> bool + Send + Sync>,
    /// The status: `409 Conflict`.
    pub(crate) status: &'static str,
    /// The message.
    pub(crate) words: &'static str,
}

impl Proxy {
    /// Refuses these requests to the engine at this socket.
    pub(crate) fn new(engine: &Path, refusal: Refusal) -> Result<Self> {
        let proxy = Self { dir: tempfile::tempdir().context("cannot create a directory")? };
        let listener = UnixListener::bind(proxy.socket()).context("cannot make a socket")?;
        let (engine, refusal) = (engine.to_owned(), Arc::new(refusal));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (engine, refusal) = (engine.clone(), Arc::clone(&refusal));
                // Whose end comes early is seen by the test.
                thread::spawn(move || serve(client, &engine, &refusal));
            }
        });
        Ok(proxy)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("docker.sock")
    }
}

/// One request a connection.
fn serve(mut client: UnixStream, engine: &Path, refusal: &Refusal) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut head = String::new();
    while reader.read_line(&mut head)? > 2 {}
    if (refusal.of)(head.lines().next().unwrap_or_default()) {
        let body = format!("{{\"message\":\"{}\"}}", refusal.words);
        let answer =
            format!("HTTP/1.1 {}\r\nContent-Type: application/json\r\nConnection: close", refusal.status);
        return write!(client, "{answer}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    }
    let mut upstream = UnixStream::connect(engine)?;
    write!(upstream, "{}\r\nConnection: close\r\n\r\n", head.trim_end())?;
    let mut back = upstream.try_clone()?;
    let answer = thread::spawn(move || {
        let copied = std::io::copy(&mut back, &mut client);
        let _ = client.shutdown(Shutdown::Both);
        copied
    });
    let mut rest = Vec::new();
    let _ = reader.read_to_end(&mut rest);
    let _ = answer.join();
    Ok(())
}
