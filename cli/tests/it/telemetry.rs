//! What the command tells of itself to those who run hosts.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Output, Stdio};
use std::thread::JoinHandle;

use serde_json::Value;

use crate::lock::ci_build;

const SECRET: &str = "hunter2";

/// A command that was run to its end, with these variables; stdout, stderr, the exit code.
fn run(state: &Path, variables: &[(&str, &str)], line: &str, script: &str) -> (String, String, i32) {
    let mut command = ci_build(state, line);
    command.args(["sh", "-c", script, SECRET]).envs(variables.iter().copied()).env("PASSWORD", SECRET);
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
    let [stdout, stderr] = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (stdout, stderr, status.code().unwrap())
}

/// A collector that takes one request, and keeps it.
struct Collector {
    address: String,
    request: JoinHandle<(HashMap<String, String>, Value)>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let request = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let request = read(&stream);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap();
            request
        });
        Self { address, request }
    }

    /// The headers, the request line among them as "request", and the spans.
    fn taken(self) -> (HashMap<String, String>, Vec<Value>) {
        let (headers, document) = self.request.join().unwrap();
        let spans = document["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone();
        (headers, spans)
    }
}

fn read(stream: &TcpStream) -> (HashMap<String, String>, Value) {
    let mut stream = BufReader::new(stream);
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.insert(name.to_ascii_lowercase(), value.to_owned()),
            None if line.trim_end().is_empty() => break,
            None => headers.insert("request".to_owned(), line.trim_end().to_owned()),
        };
    }
    let mut body = vec![0; headers["content-length"].parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    (headers, serde_json::from_slice(&body).unwrap())
}

fn attribute<'a>(span: &'a Value, key: &str) -> Option<&'a Value> {
    let attributes = span["attributes"].as_array().unwrap();
    let found = attributes.iter().find(|attribute| attribute["key"] == key)?;
    found["value"].as_object().unwrap().values().next()
}

#[test]
fn nothing_is_told_unless_the_environment_asks() {
    let state = tempfile::tempdir().unwrap();
    let (stdout, stderr, code) = run(state.path(), &[], "lock --store x --", "echo out");
    assert_eq!((stdout.as_str(), stderr.as_str(), code), ("out\n", "", 0));
}

#[test]
fn a_log_says_what_took_how_long_and_no_secrets() {
    let state = tempfile::tempdir().unwrap();
    let variables = [("CI_BUILD_LOG", "info")];
    let (stdout, stderr, code) = run(state.path(), &variables, "lock --store x --", "exit 3");
    assert_eq!((stdout.as_str(), code), ("", 3));
    assert!(stderr.contains("lock{store=x mode=\"exclusive\" outcome=\"had\"}"), "{stderr}");
    assert!(stderr.contains("time.busy="), "{stderr}");

    let variables = [("CI_BUILD_LOG", "trace"), ("CI_BUILD_LOG_FORMAT", "json")];
    let (_, stderr, _) = run(state.path(), &variables, "lock --store x --", "true");
    let lines: Vec<Value> = stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let lock = lines.iter().find(|line| line["span"]["name"] == "lock").unwrap();
    assert_eq!((&lock["level"], &lock["target"]), (&"INFO".into(), &"ci_build::store::lock".into()));
    assert_eq!(lock["spans"][0]["command"], "lock");
    assert!(!stderr.contains(SECRET), "{stderr}");
}

#[test]
fn a_variable_that_means_nothing_is_told() {
    let state = tempfile::tempdir().unwrap();
    let variables = [("CI_BUILD_LOG", "info"), ("CI_BUILD_LOG_FORMAT", "xml")];
    let (_, stderr, code) = run(state.path(), &variables, "lock --store x --", "true");
    assert_eq!(code, 2);
    insta::assert_snapshot!(stderr, @"error: CI_BUILD_LOG_FORMAT: 'xml' is neither text nor json");
}

#[test]
fn a_collector_gets_the_spans_as_part_of_the_callers_trace() {
    let state = tempfile::tempdir().unwrap();
    let collector = Collector::start();
    let (trace, caller) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let parent = format!("00-{trace}-{caller}-01");
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-team=a%20b"),
        ("TRACEPARENT", &parent),
        // Of this host nothing goes through a proxy.
        ("HTTP_PROXY", "http://127.0.0.1:9"),
    ];
    let (stdout, stderr, code) =
        run(state.path(), &variables, "lock --store x --", "echo $TRACEPARENT; exit 3");
    assert_eq!((stderr.as_str(), code), ("", 3));
    let (headers, spans) = collector.taken();
    assert_eq!(headers["request"], "POST /v1/traces HTTP/1.1");
    assert_eq!((&*headers["content-type"], &*headers["x-team"]), ("application/json", "a b"));
    let find = |name: &str| spans.iter().find(|span| span["name"] == name).unwrap();
    let (command, lock) = (find("ci-build lock"), find("lock"));
    assert_eq!((&command["traceId"], &command["parentSpanId"]), (&trace.into(), &caller.into()));
    assert_eq!((&lock["traceId"], &lock["parentSpanId"]), (&trace.into(), &command["spanId"]));
    assert_eq!(attribute(lock, "store").unwrap(), "x");
    assert_eq!(attribute(lock, "outcome").unwrap(), "had");
    let time = |span: &Value, key: &str| span[key].as_str().unwrap().parse::<u128>().unwrap();
    assert!(time(lock, "endTimeUnixNano") <= time(command, "endTimeUnixNano"));
    assert!(time(lock, "startTimeUnixNano") < time(lock, "endTimeUnixNano"));
    // What we start is a part of ours.
    let inner = format!("00-{trace}-{}-01\n", command["spanId"].as_str().unwrap());
    assert_eq!(stdout, inner);
    let all = serde_json::to_string(&spans).unwrap();
    assert!(!all.contains(SECRET), "{all}");
}

#[test]
fn a_failure_is_marked_by_whose_it_is() {
    let state = tempfile::tempdir().unwrap();
    let collector = Collector::start();
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address.as_str())];
    let (_, stderr, code) = run(state.path(), &variables, "lock --store x -- /nowhere/at/all", "");
    assert_eq!(code, 127);
    assert!(stderr.starts_with("error: cannot run '/nowhere/at/all'"), "{stderr}");
    let (_, spans) = collector.taken();
    let command = spans.iter().find(|span| span["name"] == "ci-build lock").unwrap();
    assert_eq!(command["status"]["code"], 2);
    assert_eq!(command["status"]["message"], "no-command");
    assert!(command["parentSpanId"].is_null());
}

#[test]
fn a_collector_that_does_not_answer_changes_nothing() {
    let state = tempfile::tempdir().unwrap();
    // It takes connections, and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    for endpoint in [silent.as_str(), "http://127.0.0.1:1"] {
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "200"),
            ("CI_BUILD_LOG", "warn"),
        ];
        let (_, stderr, code) = run(state.path(), &variables, "lock --store x --", "exit 3");
        assert_eq!(code, 3);
        assert!(stderr.contains("the spans were not sent"), "{stderr}");
        assert!(!stderr.contains(endpoint), "an address may hold a password: {stderr}");
        let (_, stderr, code) = run(state.path(), &variables[..2], "lock --store x --", "exit 3");
        assert_eq!((stderr.as_str(), code), ("", 3));
    }
}

#[test]
fn counters_go_on_from_command_to_command_and_holders_are_seen_while_they_hold() {
    let state = tempfile::tempdir().unwrap();
    let metrics = state.path().join("ci-build.prom");
    let figure = |start: &str| {
        let text = fs::read_to_string(&metrics).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(start)).map(str::trim);
        line.unwrap_or_else(|| panic!("no {start} in {text}")).parse::<f64>().unwrap()
    };
    let variables = [("CI_BUILD_METRICS", metrics.to_str().unwrap())];
    let again = || run(state.path(), &variables, "lock --store x --shared --", "true").2;
    assert_eq!([again(), again()], [0, 0]);
    let had = "ci_build_locks_total{store=\"x\",mode=\"shared\",outcome=\"had\"}";
    assert_eq!(figure(had), 2.0);
    let holders = "ci_build_lock_holders{store=\"x\",mode=\"shared\"}";
    assert_eq!(figure(holders), 0.0);

    let mut holder = ci_build(state.path(), "lock --store x --shared -- sh -c");
    holder.arg("echo in; cat > /dev/null").envs(variables).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut holder = holder.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!((line.as_str(), figure(holders)), ("in\n", 1.0));
    let refused = run(state.path(), &variables, "lock --store x --wait 0 --", "true").2;
    assert_eq!((refused, figure(holders)), (75, 1.0));
    let gave_up = "ci_build_locks_total{store=\"x\",mode=\"exclusive\",outcome=\"gave-up\"}";
    assert_eq!(figure(gave_up), 1.0);
    // It waits for a tenth of a second even then, for others to walk through the gate.
    assert!(figure("ci_build_lock_wait_seconds_total{store=\"x\",mode=\"exclusive\"}") >= 0.1);
    drop(holder.stdin.take());
    assert!(holder.wait().unwrap().success());
    assert_eq!((figure(holders), figure(had)), (0.0, 3.0));
}

#[test]
fn figures_that_cannot_be_written_change_nothing() {
    let state = tempfile::tempdir().unwrap();
    let absent = state.path().join("absent/ci-build.prom");
    let variables = [("CI_BUILD_METRICS", absent.to_str().unwrap())];
    let (_, stderr, code) = run(state.path(), &variables, "lock --store x --", "exit 3");
    assert_eq!((stderr.as_str(), code), ("", 3));
    let variables = [variables[0], ("CI_BUILD_LOG", "warn")];
    let (_, stderr, _) = run(state.path(), &variables, "lock --store x --", "exit 3");
    assert!(stderr.contains("the figures were not written"), "{stderr}");
}
