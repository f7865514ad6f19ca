//! Between a client and an engine: passes everything on, but for one deletion, which it refuses as the engine would.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result};
use tempfile::TempDir;

/// A socket in front of an engine's. Its threads end with this process.
pub(crate) struct Proxy {
    dir: TempDir,
}

impl Proxy {
    /// Refuses to delete the image of this id with a conflict, in these words.
    pub(crate) fn new(engine: &Path, id: &str, words: &str) -> Result<Self> {
        let proxy = Self { dir: tempfile::tempdir().context("cannot create a directory")? };
        let listener = UnixListener::bind(proxy.socket()).context("cannot make a socket")?;
        let (engine, id, words) = (engine.to_owned(), id.to_owned(), words.to_owned());
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (engine, id, words) = (engine.clone(), id.clone(), words.clone());
                // Whose end comes early is seen by the test.
                thread::spawn(move || serve(client, &engine, &id, &words));
            }
        });
        Ok(proxy)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("docker.sock")
    }
}

/// One request a connection.
fn serve(mut client: UnixStream, engine: &Path, id: &str, words: &str) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut head = String::new();
    while reader.read_line(&mut head)? > 2 {}
    if head.starts_with("DELETE") && head.contains(id) {
        let body = format!("{{\"message\":\"{words}\"}}");
        let answer = "HTTP/1.1 409 Conflict\r\nContent-Type: application/json\r\nConnection: close";
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
