//! `ci-build pull`, the command, without an engine.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use super::lock::command::ci_build;

#[test]
fn a_path_need_not_be_text() {
    let place = tempfile::tempdir().unwrap();
    let mut command = ci_build(place.path(), "pull --store x debian:12 --spool");
    let output = command.arg(OsStr::from_bytes(b"\xff")).env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let output = output.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with("error: cannot reach the docker engine"), "{said}");
    assert_eq!(output.status.code(), Some(125));
}
