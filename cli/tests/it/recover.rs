//! What builds and runs do first, where the journal names engines that are gone.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

use ci_build::journal::{EngineAt, Journal, Owner, Record};
use ci_build::store::Process;

use super::engine::FakeEngine;
use super::lock::command::ci_build;

fn ended() -> Owner {
    let mut child = Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
    let process = Process::of(child.id()).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    Owner::of(process)
}

/// `ci-build run` with a docker that does nothing.
fn run(place: &std::path::Path, engine: &FakeEngine) -> Output {
    let docker = place.join("docker");
    std::fs::write(&docker, "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(&docker, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", place.display(), std::env::var("PATH").unwrap());
    let mut command = ci_build(&place.join("state"), "run x");
    command.env("PATH", path).env("DOCKER_HOST", engine.host()).output().unwrap()
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
    assert!(said.contains("takes questions and does not answer"), "{said}");
    let failures = journal.failures().unwrap();
    assert_eq!(failures.len(), 1, "it is written down, so that the next one knows: {said}");
    assert!(asked(&gone) > 0, "{said}");

    let second = run(place.path(), &engine);
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(!said.contains("does not answer"), "{said}");
    assert_eq!(asked(&gone), 0, "so soon: {said}");
    assert_eq!(journal.failures().unwrap(), failures);
}
