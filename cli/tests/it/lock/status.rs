//! What `ci-build status` and `ci-build lease` show and refuse, without an engine.

use super::command::{HOLD, Holder, ci_build};

#[test]
fn everybody_sees_who_holds() {
    let state = tempfile::tempdir().unwrap();
    let shown = |line: &str| {
        let output = ci_build(state.path(), line).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    insta::assert_snapshot!(shown("status"), @"nobody holds or waits for a lock, and no image is leased");
    insta::assert_snapshot!(shown("status --format json"), @r#"{"schema":1,"stores":[]}"#);
    insta::assert_snapshot!(shown("lease list --format json"), @r#"{"schema":1,"leases":[]}"#);
    let holder = Holder::new(state.path(), "lock --store x --shared --", HOLD);
    let text = shown("status");
    assert!(text.contains("holds  shared"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&shown("status --format json")).unwrap();
    let record = &json["stores"][0]["holders"][0];
    assert_eq!((&json["stores"][0]["store"], &record["pid"]), (&"x".into(), &holder.child.id().into()));
    assert_eq!(record["command"], format!("sh -c {HOLD}"));
    holder.end();
    assert_eq!(shown("status --format json").trim(), r#"{"schema":1,"stores":[]}"#);
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
