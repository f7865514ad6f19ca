//! An engine that has many images and containers and does nothing but tell of them, in the very words of a real one: what a
//! real engine answered about one image and one container, said again and again with other names.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tempfile::TempDir;
use xtask::command;
use xtask::engines::Engine;
use xtask::images::BUSYBOX;

/// What is answered, by path.
type Answers = Vec<(&'static str, String)>;

/// A fake engine. Its threads end with this process, its socket with this value.
#[derive(Debug)]
pub struct Fake {
    dir: TempDir,
}

impl Fake {
    /// One that has so many images and containers, whose every word is `real`'s. Every tenth image has a container.
    ///
    /// # Errors
    /// When the real engine does not tell of an image, or the socket cannot be made.
    pub fn like(real: &Engine, images: usize, containers: usize) -> Result<Self> {
        command::run(real.client().docker().args(["create", "--name", "template", BUSYBOX, "true"]))?;
        let ask = |path: &str| ask(&real.socket(), path);
        let image = first(&ask("/images/json?all=1")?)?;
        let container = first(&ask("/containers/json?all=1")?)?;
        let id = |kind: u8, number: usize| format!("{kind:02x}{number:062x}");
        let created = image["Created"].as_i64().context("an image has a time")?;
        let images: Vec<_> = (0..images)
            .map(|number| {
                let mut image = image.clone();
                image["Id"] = json!(format!("sha256:{}", id(1, number)));
                image["RepoTags"] = json!([format!("registry.example/ci/app-{}:{number}", number % 97)]);
                // A thousand hours' worth, in no order.
                image["Created"] = json!(created - (number as i64 * 7919 % 3_600_000));
                image
            })
            .collect();
        let containers: Vec<_> = (0..containers)
            .map(|number| {
                let mut container = container.clone();
                container["Id"] = json!(id(2, number));
                container["Names"] = json!([format!("/job-{number}")]);
                container["ImageID"] = json!(format!("sha256:{}", id(1, number * 10)));
                container["Image"] =
                    images.get(number * 10).map_or(Value::Null, |image| image["RepoTags"][0].clone());
                container
            })
            .collect();
        let answers = vec![
            ("/version", ask("/version")?),
            ("/info", ask("/info")?),
            ("/images/json", serde_json::to_string(&images)?),
            ("/containers/json", serde_json::to_string(&containers)?),
            ("/events", String::new()),
        ];
        let dir = tempfile::tempdir().context("cannot create a directory")?;
        let fake = Self { dir };
        let listener = UnixListener::bind(fake.socket()).context("cannot make a socket")?;
        let answers = Arc::new(answers);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let answers = Arc::clone(&answers);
                // A client that ends early is its own affair.
                thread::spawn(move || serve(&stream, &answers));
            }
        });
        Ok(fake)
    }

    /// Where it listens.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("docker.sock")
    }
}

fn ask(socket: &Path, path: &str) -> Result<String> {
    let mut stream = UnixStream::connect(socket).context("cannot reach the engine")?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: engine\r\n\r\n").context("cannot ask the engine")?;
    let answer = std::io::read_to_string(stream).context("the engine does not answer")?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    body.with_context(|| format!("the engine does not tell {path}"))
}

fn first(list: &str) -> Result<Value> {
    let list: Vec<Value> = serde_json::from_str(list).context("the engine's list is none")?;
    list.into_iter().next().context("the engine's list is empty")
}

fn serve(stream: &UnixStream, answers: &Answers) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    while let Some(request) = lines.next().transpose()? {
        while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
        let path = request.split(' ').nth(1).unwrap_or_default();
        let path = path.split('?').next().unwrap_or_default();
        let answer = answers.iter().find(|(of, _)| path.ends_with(of));
        let (status, body) = answer
            .map_or(("404 Not Found", "{\"message\":\"page not found\"}"), |(_, body)| ("200 OK", body));
        let head = "Content-Type: application/json\r\nServer: Docker";
        let mut out = stream;
        write!(out, "HTTP/1.1 {status}\r\n{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
    }
    Ok(())
}
