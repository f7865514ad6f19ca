//! Between a client and an engine: passes everything on, but for requests that are to go wrong.

pub mod grpc;

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use tempfile::TempDir;

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is passed on, and its answer back.
    Passes,
    /// It is answered with this status and these words, and the engine never hears of it.
    Refused(u16, String),
    /// The connection breaks, and the engine never hears of it.
    Unheard,
    /// The engine does what it is asked for, and the connection breaks before its answer.
    Lost,
}

/// A socket in front of an engine's. Its threads end with this process.
#[derive(Debug)]
pub struct Proxy {
    dir: TempDir,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Judges each request by its number, from 1 on, and its first line.
    ///
    /// # Errors
    /// When there is no place for a socket.
    pub fn new(engine: &Path, judge: impl Fn(usize, &str) -> Fate + Send + Sync + 'static) -> Result<Self> {
        let dir = tempfile::tempdir().context("cannot create a directory")?;
        let proxy = Self { dir, requests: Arc::default() };
        let listener = UnixListener::bind(proxy.socket()).context("cannot make a socket")?;
        let (engine, judge, requests) = (engine.to_owned(), Arc::new(judge), Arc::clone(&proxy.requests));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (engine, judge, requests) = (engine.clone(), Arc::clone(&judge), Arc::clone(&requests));
                let judge = move |line: &str| {
                    let mut requests = requests.lock().unwrap_or_else(PoisonError::into_inner);
                    requests.push(line.to_owned());
                    judge(requests.len(), line)
                };
                // Whose end comes early is seen by the client.
                thread::spawn(move || serve(client, &engine, judge));
            }
        });
        Ok(proxy)
    }

    /// Where it is.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("docker.sock")
    }

    /// Its address, as `DOCKER_HOST` has it.
    #[must_use]
    pub fn address(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// The first lines of all requests until now, in their order.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One request a connection.
fn serve(client: UnixStream, engine: &Path, judge: impl FnOnce(&str) -> Fate) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        match reader.read_line(&mut line)? {
            0 => return Ok(()),
            1 | 2 => break,
            _ => head.push(line.trim_end().to_owned()),
        }
    }
    let Some(first) = head.first() else { return Ok(()) };
    match judge(first) {
        Fate::Passes => pass(client, reader, engine, &head),
        Fate::Refused(status, words) => refuse(client, reader, &head, status, &words),
        Fate::Unheard => client.shutdown(Shutdown::Both),
        Fate::Lost => lose(client, reader, engine, &head),
    }
}

/// Asks the engine to close after its answer, unless the connection becomes another one.
fn ask(engine: &Path, head: &[String]) -> io::Result<UnixStream> {
    let mut upstream = UnixStream::connect(engine)?;
    let is = |line: &str, name: &str| {
        line.split_once(':').is_some_and(|(before, _)| before.eq_ignore_ascii_case(name))
    };
    let upgrades = head.iter().any(|line| is(line, "upgrade"));
    let mut text = String::new();
    for line in head.iter().filter(|line| upgrades || !is(line, "connection")) {
        text += &format!("{line}\r\n");
    }
    if !upgrades {
        text += "Connection: close\r\n";
    }
    upstream.write_all(format!("{text}\r\n").as_bytes())?;
    Ok(upstream)
}

fn pass(
    client: UnixStream,
    mut reader: BufReader<UnixStream>,
    engine: &Path,
    head: &[String],
) -> io::Result<()> {
    let mut upstream = ask(engine, head)?;
    let (mut back, mut to) = (upstream.try_clone()?, client.try_clone()?);
    let answer = thread::spawn(move || {
        let _ = io::copy(&mut back, &mut to);
        // Who keeps the connection for the next request is told that there is none.
        let _ = to.shutdown(Shutdown::Both);
    });
    let _ = io::copy(&mut reader, &mut upstream);
    let _ = upstream.shutdown(Shutdown::Write);
    let _ = answer.join();
    Ok(())
}

fn refuse(
    mut client: UnixStream,
    mut reader: BufReader<UnixStream>,
    head: &[String],
    status: u16,
    words: &str,
) -> io::Result<()> {
    let length = head.iter().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    // What nobody has read would break the connection before its answer.
    io::copy(&mut reader.by_ref().take(length.unwrap_or(0)), &mut io::sink())?;
    let body = serde_json::json!({ "message": words }).to_string();
    let answer = format!("HTTP/1.1 {status} Told To\r\nContent-Type: application/json\r\nConnection: close");
    write!(client, "{answer}\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
    client.shutdown(Shutdown::Both)
}

fn lose(
    client: UnixStream,
    mut reader: BufReader<UnixStream>,
    engine: &Path,
    head: &[String],
) -> io::Result<()> {
    let mut upstream = ask(engine, head)?;
    let mut to = upstream.try_clone()?;
    thread::spawn(move || io::copy(&mut reader, &mut to));
    // It has done it when it begins to answer.
    let _ = upstream.read(&mut [0])?;
    client.shutdown(Shutdown::Both)?;
    upstream.shutdown(Shutdown::Both)
}
