//! What `ci-build status` and `ci-build lease` show and refuse, without an engine.

use std::path::Path;
use std::time::{Duration, Instant};

use ci_build::journal::{EngineAt, Journal, Owner, Record};

use super::command::{HOLD, Holder, ci_build};

#[test]
fn everybody_sees_who_holds() {
    let place = tempfile::tempdir().unwrap();
    let state = place.path().join("state");
    let shown = |line: &str| {
        let mut command = ci_build(&state, line);
        let output = command.env("DOCKER_HOST", "unix:///nowhere/docker.sock").output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    insta::assert_snapshot!(shown("status"), @r"
    no engine: cannot reach the docker engine at unix:///nowhere/docker.sock (from DOCKER_HOST): Socket not found: /nowhere/docker.sock

    nobody holds or waits for a lock, and no image is leased
    ");
    insta::assert_snapshot!(shown("status --format json"), @r#"{"schema":1,"engines":[{"address":"unix:///nowhere/docker.sock","disk":null,"error":"cannot reach the docker engine at unix:///nowhere/docker.sock (from DOCKER_HOST): Socket not found: /nowhere/docker.sock","id":null,"image_store":null,"reachable":false,"root":null,"version":null}],"stores":[],"failures":[]}"#);
    insta::assert_snapshot!(shown("lease list --format json"), @r#"{"schema":1,"leases":[]}"#);
    assert!(!state.exists(), "who looks makes nothing");
    let holder = Holder::new(&state, "lock --store x --shared --", HOLD);
    let text = shown("status");
    assert!(text.contains("holds  shared"), "{text}");
    let json = || -> serde_json::Value { serde_json::from_str(&shown("status --format json")).unwrap() };
    let document = json();
    let record = &document["stores"][0]["holders"][0];
    assert_eq!((&document["stores"][0]["store"], &record["pid"]), (&"x".into(), &holder.child.id().into()));
    assert_eq!(record["command"], format!("sh -c {HOLD}"));
    holder.end();
    assert_eq!(json()["stores"], serde_json::json!([]));
    let prune = r#"{"when":"2026-11-21T00:00:00Z","freed_bytes":1048576,"removed":3,"failed":1}"#;
    std::fs::write(state.join("stores/name.x/last-prune.json"), prune).unwrap();
    assert_eq!(json()["stores"][0]["last_prune"], serde_json::from_str::<serde_json::Value>(prune).unwrap());
    assert!(shown("status").contains("1.0 MiB"), "{}", shown("status"));
}

#[test]
fn what_could_not_be_removed_is_shown() {
    let place = tempfile::tempdir().unwrap();
    let state = place.path().join("state");
    let shown = |line: &str| {
        let mut command = ci_build(&state, line);
        let output = command.env("DOCKER_HOST", "unix:///nowhere/docker.sock").output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let journal = Journal::open_in(&state).unwrap();
    let engine = EngineAt::Docker { address: "unix:///x".into(), engine: "E".into() };
    let record = Record::new(engine, Owner::this().unwrap(), "docker run debian:12 make");
    let entry = journal.intend(record).unwrap();
    let none: serde_json::Value = serde_json::from_str(&shown("status --format json")).unwrap();
    assert_eq!(none["failures"], serde_json::json!([]), "it is there, and nothing is wrong with it");
    entry.created("1".into()).removing().failed("device or resource busy".into());
    let document: serde_json::Value = serde_json::from_str(&shown("status --format json")).unwrap();
    let failure = &document["failures"][0];
    assert_eq!(failure["reason"], "device or resource busy");
    assert_eq!((&failure["times"], &failure["id"]), (&1.into(), &"1".into()));
    assert_eq!(failure["place"]["docker"]["engine"], "E");
    let text = shown("status");
    assert!(text.contains("docker run debian:12 make") && text.contains("device or resource busy"), "{text}");
}

/// An engine that takes connections and never answers.
struct Hanging {
    _listener: std::os::unix::net::UnixListener,
    address: String,
}

impl Hanging {
    fn new(directory: &Path) -> Self {
        let socket = directory.join("hanging.sock");
        let address = format!("unix://{}", socket.display());
        Self { _listener: std::os::unix::net::UnixListener::bind(socket).unwrap(), address }
    }
}

#[test]
fn an_engine_that_hangs_is_waited_for_in_vain_for_so_long_only() {
    let place = tempfile::tempdir().unwrap();
    let (state, engine) = (place.path().join("state"), Hanging::new(place.path()));
    let started = Instant::now();
    let run = |line: &str| {
        let output = ci_build(&state, line).env("DOCKER_HOST", &engine.address).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (text.replace(place.path().to_str().unwrap(), "/run"), output.status.code().unwrap())
    };
    let (text, code) = run("status --timeout 200ms");
    assert_eq!(code, 0);
    insta::assert_snapshot!(text, @r"
    no engine: the docker engine at unix:///run/hanging.sock (from DOCKER_HOST) takes questions and does not answer

    nobody holds or waits for a lock, and no image is leased
    ");
    let (text, code) = run("doctor --timeout 200ms");
    assert_eq!(code, 1);
    insta::assert_snapshot!(text.lines().take(3).collect::<Vec<_>>().join("\n"), @r"
    wrong    engine          the docker engine at unix:///run/hanging.sock (from DOCKER_HOST) takes questions and does not answer
                               help: the engine's log may say more
    unknown  runc            no engine answers
    ");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[test]
fn the_doctor_says_what_to_do_without_an_engine() {
    let place = tempfile::tempdir().unwrap();
    let state = place.path().join("state");
    let doctor = |line: &str, host: &str| {
        let output = ci_build(&state, line).env("DOCKER_HOST", host).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), output.status.code().unwrap())
    };
    let (text, code) = doctor("doctor", "unix:///nowhere/docker.sock");
    assert_eq!(code, 1);
    insta::assert_snapshot!(text.lines().take(5).collect::<Vec<_>>().join("\n"), @r"
    wrong    engine          cannot reach the docker engine at unix:///nowhere/docker.sock (from DOCKER_HOST): Socket not found: /nowhere/docker.sock
                               help: is the engine running, and may this user reach it? `docker version` asks the same
                               help: DOCKER_HOST names another engine, such as unix:///run/user/1000/docker.sock
    unknown  runc            no engine answers
    unknown  buildkit        no engine answers
    ");
    let (text, code) = doctor("doctor --format json", "nonsense");
    assert_eq!(code, 1);
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["schema"], 1);
    assert_eq!(document["checks"][0]["state"], "wrong");
    insta::assert_snapshot!(document["checks"][0]["found"].as_str().unwrap(), @"cannot speak to an engine at nonsense (from DOCKER_HOST)");
    assert!(!state.exists(), "who looks makes nothing");
}

#[test]
fn a_lease_needs_an_engine_and_a_living_owner() {
    let state = tempfile::tempdir().unwrap();
    let shown = |line: &str| {
        let mut command = ci_build(state.path(), line);
        let output = command.env("DOCKER_HOST", "unix:///nowhere/docker.sock").output().unwrap();
        (String::from_utf8(output.stderr).unwrap(), output.status.code().unwrap())
    };
    let (message, code) = shown("lease add --store x --owner 4194305 debian:12");
    assert_eq!(code, 2, "{message}");
    insta::assert_snapshot!(message, @r"
    error: no process has the pid 4194305
      help: in a shell, $$ is its own pid
    ");
    let (message, code) = shown("lease add --store x --ttl 1h debian:12");
    assert_eq!(code, 125, "{message}");
    assert!(
        message.starts_with("error: cannot reach the docker engine at unix:///nowhere/docker.sock"),
        "{message}"
    );
    let (message, code) = shown("lease remove --store x debian:12");
    assert_eq!(code, 2, "{message}");
    insta::assert_snapshot!(message, @r"
    error: no lease is for 'debian:12'
      help: `ci-build lease list` shows them
    ");
    assert_eq!(shown("lock --wait 0 -- true").1, 125, "an engine's lock needs the engine");
}
