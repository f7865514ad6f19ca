//! Recovery of what the dead left on engines that do not play along.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use ci_build::engine::OWNER_LABEL;
use ci_build::journal::{EngineAt, Journal, Owner, RUN_LABEL, Record};
use ci_build::store::Process;

use super::engine::{FakeEngine, message};
use super::lock::command::ci_build;

fn ended() -> Owner {
    let mut child = Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
    let process = Process::of(child.id()).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    Owner::of(process)
}

/// `ci-build run` with a docker that does nothing.
fn run(place: &Path, engine: &FakeEngine) -> Output {
    let docker = place.join("docker");
    std::fs::write(&docker, "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(&docker, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", place.display(), std::env::var("PATH").unwrap());
    let mut command = ci_build(&place.join("state"), "run x");
    command.env("PATH", path).env("DOCKER_HOST", engine.host()).output().unwrap()
}

/// What `ci-build recover` reports.
fn recovered(place: &Path, engine: &FakeEngine) -> serde_json::Value {
    let mut recover = ci_build(&place.join("state"), "recover --format json");
    let output = recover.env("DOCKER_HOST", engine.host()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no report: {said}"))
}

/// One field of all of a kind, sorted.
fn said(report: &serde_json::Value, kind: &str, field: &str) -> Vec<String> {
    let all = report[kind].as_array().unwrap().iter();
    let mut said: Vec<_> = all.map(|one| one[field].as_str().unwrap().to_owned()).collect();
    said.sort_unstable();
    said
}

/// A place whose journal has a record of a dead owner for each of these containers of the engine that a [`FakeEngine`] is;
/// and those containers as the engine lists them.
fn left(ids: &[&str]) -> (tempfile::TempDir, Journal, String) {
    let place = tempfile::tempdir().unwrap();
    let journal = Journal::open_in(&place.path().join("state")).unwrap();
    let (owner, engine) = (ended(), EngineAt::Docker { address: "unix:///x".into(), engine: "E".into() });
    let container = |id: &&str| {
        let record = Record::new(engine.clone(), owner.clone(), &format!("docker run {id}"));
        let entry = journal.intend(record).unwrap();
        let labels = serde_json::json!({ OWNER_LABEL: owner.to_string(), RUN_LABEL: entry.name() });
        drop(entry.created((*id).into()));
        serde_json::json!({ "Id": id, "Names": [format!("/{id}")], "ImageID": format!("of-{id}"), "State": "exited", "Labels": labels })
    };
    let listed = serde_json::Value::from(ids.iter().map(container).collect::<Vec<_>>()).to_string();
    (place, journal, listed)
}

/// How often somebody asked since the last look.
fn asked(gone: &TcpListener) -> usize {
    std::iter::from_fn(|| gone.accept().ok()).count()
}

#[test]
fn an_engine_that_is_gone_is_asked_for_shortly_and_not_each_time() {
    let place = tempfile::tempdir().unwrap();
    let journal = Journal::open_in(&place.path().join("state")).unwrap();
    // It takes connections and says nothing, as one behind a firewall.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    gone.set_nonblocking(true).unwrap();
    let address = format!("tcp://{}", gone.local_addr().unwrap());
    let there = EngineAt::Docker { address, engine: "F".into() };
    drop(journal.intend(Record::new(there, ended(), "docker run y")).unwrap());
    let engine = FakeEngine::start(|_, _, _| None);

    let first = run(place.path(), &engine);
    let said = String::from_utf8_lossy(&first.stderr);
    assert!(said.contains("takes questions and does not answer") && said.contains("tried once"), "{said}");
    assert!(said.contains("could not be removed:") && !said.contains("nothing to recover"), "{said}");
    let failures = journal.failures().unwrap();
    assert_eq!(failures.len(), 1, "it is written down, so that the next one knows: {said}");
    assert!(asked(&gone) > 0, "{said}");

    let second = run(place.path(), &engine);
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(!said.contains("does not answer"), "{said}");
    assert_eq!(asked(&gone), 0, "so soon: {said}");
    assert_eq!(journal.failures().unwrap(), failures);
}

#[test]
fn a_removal_of_somebody_else_that_fails_is_not_taken_for_an_end() {
    // What moby says to who waits for a removal that fails: with the container's exit code, and so an error to bollard or none.
    let failed = |code: u8| serde_json::json!({ "StatusCode": code, "Error": { "Message": "device or resource busy" } });
    for (ended, is_there, reason) in [
        (failed(0), true, "device or resource busy"),
        (failed(137), true, "device or resource busy"),
        (serde_json::json!({ "StatusCode": 7 }), true, "removal of container a is already in progress"),
        (serde_json::json!({ "StatusCode": 7 }), false, ""),
        (serde_json::json!({ "StatusCode": 0 }), false, ""),
    ] {
        let (place, journal, listed) = left(&["a"]);
        let told = ended.clone();
        let engine = FakeEngine::start(move |method, path, _| {
            Some(match (method, path) {
                ("GET", "/containers/json") => (200, listed.clone()),
                ("DELETE", "/containers/a") => {
                    (409, message("removal of container a is already in progress"))
                }
                ("POST", "/containers/a/wait") => (200, told.to_string()),
                ("GET", "/containers/a/json") if is_there => (200, "{}".into()),
                _ => return None,
            })
        });
        let report = recovered(place.path(), &engine);
        let failures = journal.failures().unwrap();
        if is_there {
            assert_eq!(report["failed"][0]["reason"], reason, "{ended}: {report}");
            assert!(report["removed"].as_array().unwrap().is_empty(), "{ended}: {report}");
            assert_eq!(failures[0].failure.as_ref().unwrap().reason, reason, "{ended}");
        } else {
            assert_eq!(report["removed"][0]["id"], "a", "{ended}: {report}");
            assert_eq!(journal.list().unwrap(), [], "{ended}");
        }
    }
}

#[test]
fn what_cannot_be_measured_or_judged_keeps_nothing_else() {
    let (place, journal, listed) = left(&["unmeasured", "measured", "unjudged"]);
    let there = EngineAt::Docker { address: "unix:///x".into(), engine: "E".into() };
    drop(journal.intend(Record::new(there, ended(), "ci-build pull x").of_name("127.0.0.1:1/x")).unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let engine = FakeEngine::start(move |method, path, query| {
        log.lock().unwrap().push(format!("{method} {path}"));
        Some(match (method, path) {
            // One that cannot be measured fails the whole list (moby 28.5.2, `GetContainerLayerSize`).
            ("GET", "/containers/json") if query.contains("size=true") => {
                (500, message("rw layer snapshot not found"))
            }
            ("GET", "/containers/json") => (200, listed.clone()),
            ("GET", "/containers/unmeasured/json") => (500, message("rw layer snapshot not found")),
            ("GET", "/containers/measured/json") => (200, r#"{"SizeRw":1000}"#.into()),
            ("GET", "/images/of-unjudged/json" | "/images/127.0.0.1:1/x/json") => {
                (500, message("disk is broken"))
            }
            ("DELETE", _) => (204, String::new()),
            _ => return None,
        })
    });
    let report = recovered(place.path(), &engine);
    assert_eq!(said(&report, "removed", "id"), ["measured", "unmeasured"], "{report}");
    assert_eq!(report["freed"], 1000, "{report}");
    assert_eq!(said(&report, "failed", "what"), ["ci-build pull x", "docker run unjudged"], "{report}");
    let failures = journal.failures().unwrap();
    assert!(failures.iter().all(|record| record.failure.as_ref().unwrap().reason.contains("disk is broken")));
    assert_eq!(failures.len(), 2);
    let asked = asked.lock().unwrap();
    let at = |what: &str| asked.iter().rposition(|asked| asked.contains(what));
    assert!(at("DELETE /containers/") < at("/images/127.0.0.1:1/x"), "containers are the first: {asked:?}");
}

#[test]
fn a_removal_that_hangs_is_written_down_and_not_tried_each_time() {
    let (place, journal, listed) = left(&["hangs", "goes"]);
    let engine = FakeEngine::start(move |method, path, query| {
        Some(match (method, path) {
            ("GET", "/containers/json") if !query.contains("ci-build.run") => (200, listed.clone()),
            ("DELETE", "/containers/hangs") => loop {
                std::thread::park();
            },
            ("DELETE", _) => (204, String::new()),
            _ => return None,
        })
    });
    let first = run(place.path(), &engine);
    let said = String::from_utf8_lossy(&first.stderr);
    assert!(said.contains("removed container goes"), "{said}");
    assert!(said.contains("it did not end within 5 s"), "{said}");
    let failures = journal.failures().unwrap();
    assert_eq!((failures.len(), failures[0].command.as_str()), (1, "docker run hangs"), "{said}");

    let second = run(place.path(), &engine);
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(!said.contains("could not remove"), "so soon: {said}");
    assert_eq!(journal.failures().unwrap(), failures);
}

#[test]
fn what_went_before_the_time_was_over_is_told() {
    let ids: Vec<String> = (0..12).map(|number| format!("c{number}")).collect();
    let (place, journal, listed) = left(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let engine = FakeEngine::start(move |method, path, query| {
        Some(match (method, path) {
            ("GET", "/containers/json") if !query.contains("ci-build.run") => (200, listed.clone()),
            ("GET", path) if path.starts_with("/containers/c") => (200, r#"{"SizeRw":1000}"#.into()),
            ("DELETE", _) if count.fetch_add(1, Ordering::Relaxed) > 0 => loop {
                std::thread::park();
            },
            ("DELETE", _) => (204, String::new()),
            _ => return None,
        })
    });
    let output = run(place.path(), &engine);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("removed 1 container and 1 record, 1.0 kB"), "{said}");
    assert!(said.contains("not all that killed commands left is removed yet"), "{said}");
    // Eight at a time hang, and when they have failed it is too late for the other three.
    assert_eq!((asked.load(Ordering::Relaxed), journal.failures().unwrap().len()), (9, 8), "{said}");
    assert_eq!(journal.list().unwrap().len(), 11, "{said}");
}

#[test]
fn a_volume_that_cannot_be_deleted_is_kept_in_mind() {
    let place = tempfile::tempdir().unwrap();
    let journal = Journal::open_in(&place.path().join("state")).unwrap();
    let volume = |name: &str| {
        serde_json::json!({
            "Name": name, "Driver": "local", "Mountpoint": "/x", "Scope": "local", "Options": {},
            "Labels": { OWNER_LABEL: ended().to_string(), RUN_LABEL: "0123456789abcdef" },
        })
    };
    let listed = serde_json::json!({ "Volumes": [volume("kept"), volume("deleted")] }).to_string();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let engine = FakeEngine::start(move |method, path, _| {
        Some(match (method, path) {
            ("GET", "/volumes") => (200, listed.clone()),
            ("DELETE", "/volumes/kept") => {
                count.fetch_add(1, Ordering::Relaxed);
                (500, message("device or resource busy"))
            }
            ("DELETE", _) => (204, String::new()),
            _ => return None,
        })
    });
    let times = || journal.failures().unwrap()[0].failure.as_ref().unwrap().times;
    let report = recovered(place.path(), &engine);
    assert_eq!(report["removed"][0]["name"], "deleted", "{report}");
    assert_eq!(report["failed"][0]["reason"], "device or resource busy", "{report}");
    assert_eq!(times(), 1);
    run(place.path(), &engine);
    assert_eq!(asked.load(Ordering::Relaxed), 1, "so soon");
    recovered(place.path(), &engine);
    assert_eq!((asked.load(Ordering::Relaxed), times(), journal.list().unwrap().len()), (2, 2, 1));

    let without = FakeEngine::start(|_, _, _| None);
    let report = recovered(place.path(), &without);
    assert_eq!((&report["records"], journal.list().unwrap().len()), (&1.into(), 0), "{report}");
}

#[test]
fn an_engine_that_does_not_list_its_volumes_keeps_no_others_from_their_recovery() {
    let (place, journal, _) = left(&["elsewhere"]);
    // The record is of an engine "E"; here is another.
    let engine = FakeEngine::start(|_, path, _| match path {
        "/info" => Some((200, r#"{"ID":"F"}"#.into())),
        "/volumes" => Some((500, message("disk is broken"))),
        _ => None,
    });
    let report = recovered(place.path(), &engine);
    assert_eq!(
        said(&report, "failed", "what"),
        ["containers that are gone", "docker run elsewhere"],
        "{report}"
    );
    assert_eq!(journal.failures().unwrap().len(), 1);
}

#[test]
fn a_container_that_cannot_be_looked_for_after_its_run_is_kept_with_the_reason() {
    let place = tempfile::tempdir().unwrap();
    let journal = Journal::open_in(&place.path().join("state")).unwrap();
    let engine = FakeEngine::start(|_, path, query| {
        (path == "/containers/json" && query.contains("ci-build.run"))
            .then(|| (500, message("disk is broken")))
    });
    let output = run(place.path(), &engine);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("disk is broken"), "{said}");
    let failures = journal.failures().unwrap();
    assert!(failures[0].failure.as_ref().unwrap().reason.contains("disk is broken"), "{said}");
    let status =
        ci_build(&place.path().join("state"), "status").env("DOCKER_HOST", engine.host()).output().unwrap();
    let status = String::from_utf8_lossy(&status.stdout);
    assert!(status.contains("WHY IT IS STILL THERE") && status.contains("disk is broken"), "{status}");
}
