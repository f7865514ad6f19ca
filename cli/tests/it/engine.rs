//! An engine that answers as it is told, for what no real one does when asked to.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;

/// Its answers: a status and a document, by the method and the path, without the version and what is asked for.
type Answers = dyn Fn(&str, &str, &str) -> Option<(u16, String)> + Send + Sync;

/// It ends with the tests.
pub(super) struct FakeEngine {
    dir: tempfile::TempDir,
}

impl FakeEngine {
    /// An engine with these answers to a method, a path and a query. What they do not know is answered as of an engine without
    /// anything in it.
    pub(super) fn start(
        answers: impl Fn(&str, &str, &str) -> Option<(u16, String)> + Send + Sync + 'static,
    ) -> Self {
        let fake = Self { dir: tempfile::tempdir().unwrap() };
        let listener = UnixListener::bind(fake.dir.path().join("docker.sock")).unwrap();
        let answers: Arc<Answers> = Arc::new(answers);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let answers = Arc::clone(&answers);
                // A client that ends early is its own affair.
                std::thread::spawn(move || serve(&stream, &*answers));
            }
        });
        fake
    }

    /// Its address.
    pub(super) fn host(&self) -> String {
        format!("unix://{}/docker.sock", self.dir.path().display())
    }
}

fn serve(stream: &UnixStream, answers: &Answers) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    while let Some(request) = lines.next().transpose()? {
        while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
        let mut words = request.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let unversioned = path.strip_prefix("/v1.").and_then(|rest| rest.find('/').map(|at| &rest[at..]));
        let path = unversioned.unwrap_or(path);
        let (status, body) =
            answers(method, path, query).or_else(|| empty(path)).unwrap_or((404, message("no such thing")));
        let head = "Content-Type: application/json\r\nServer: Docker";
        let mut out = stream;
        write!(out, "HTTP/1.1 {status} -\r\n{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
        // Then the answer ends with the connection.
        if request.ends_with("HTTP/1.0") {
            break;
        }
    }
    Ok(())
}

/// An error as engines say it.
pub(super) fn message(text: &str) -> String {
    serde_json::json!({ "message": text }).to_string()
}

fn empty(path: &str) -> Option<(u16, String)> {
    let body = match path {
        "/version" => r#"{"Version":"28.5.0","ApiVersion":"1.51","Os":"linux","Arch":"amd64"}"#,
        "/info" => r#"{"ID":"E","ServerVersion":"28.5.0"}"#,
        "/images/json" | "/containers/json" => "[]",
        "/volumes" => r#"{"Volumes":[]}"#,
        "/events" => "",
        _ => return None,
    };
    Some((200, body.into()))
}
