//! `ci-build pull`, as far as it goes without an engine.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use super::lock::command::ci_build;

#[test]
fn arguments_need_not_be_text() {
    let state = tempfile::tempdir().unwrap();
    let mut command = ci_build(state.path(), "pull --store x debian:12 --spool");
    command.arg(OsStr::from_bytes(b"/nowhere/\xff")).env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(125), "{stderr}");
    assert!(stderr.starts_with("error: cannot reach the docker engine"), "{stderr}");
}
