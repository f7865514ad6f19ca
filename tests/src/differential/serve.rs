//! A server of files on the loopback: what a build fetches over HTTP.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

/// Serves a directory until this process ends.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
}

impl Server {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// When there is none.
    pub fn start(root: &Path) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("there is no free port")?;
        let address = listener.local_addr().context("a listener has an address")?;
        let root = root.to_owned();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let root = root.clone();
                // A client that goes away in the middle of an answer is its own affair.
                thread::spawn(move || answer(&root, stream).ok());
            }
        });
        Ok(Self { address })
    }

    /// `127.0.0.1:41234`.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn answer(root: &Path, mut stream: TcpStream) -> std::io::Result<()> {
    const PATIENCE: Duration = Duration::from_secs(30);
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let content = found(root, path).and_then(|path| fs::read(path).ok());
    let (status, content) = match &content {
        Some(content) => ("200 OK", content.as_slice()),
        None => ("404 Not Found", &b"there is no such file\n"[..]),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nContent-Type: application/octet-stream\r\n\
         Last-Modified: Wed, 01 Jan 2020 00:00:00 GMT\r\nConnection: close\r\n\r\n",
        content.len()
    )?;
    if method != "HEAD" {
        stream.write_all(content)?;
    }
    stream.flush()
}

/// Nothing outside of the root.
fn found(root: &Path, path: &str) -> Option<PathBuf> {
    let path = Path::new(path.split(['?', '#']).next()?.trim_start_matches('/'));
    path.components().all(|part| matches!(part, Component::Normal(_))).then(|| root.join(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_below_the_root_is_found() {
        let root = Path::new("/root");
        assert_eq!(found(root, "/a/b.tar?x=1"), Some(PathBuf::from("/root/a/b.tar")));
        assert_eq!(found(root, "/../etc/passwd"), None);
        assert_eq!(found(root, "/a/../../etc/passwd"), None);
    }
}
