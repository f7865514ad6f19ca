//! What `ci-build prune` refuses, and how it skips, without a real engine.

use super::super::lock::command::ci_build;

fn refused(line: &str) -> (String, i32) {
    let state = tempfile::tempdir().unwrap();
    let mut command = ci_build(state.path(), line);
    let output = command.env("DOCKER_HOST", "unix:///nowhere/docker.sock").output().unwrap();
    assert!(output.stdout.is_empty(), "{output:?}");
    (String::from_utf8(output.stderr).unwrap(), output.status.code().unwrap())
}

#[test]
fn limits_the_wrong_way_round_are_wrong_usage() {
    let (message, code) = refused("prune --disk-high 60 --disk-low 70");
    assert_eq!(code, 2);
    insta::assert_snapshot!(message, @r"
    error: --disk-low 70 is above --disk-high 60, so no room would be made
      help: swap them, or give --disk-high more than 70
    ");
    let (message, code) = refused("prune --inodes-high 10 --disk-low 20");
    assert_eq!(code, 2);
    insta::assert_snapshot!(message, @r"
    error: --inodes-low 80 is above --inodes-high 10, so no room would be made
      help: swap them, or give --inodes-high more than 80
    ");
    let (message, code) = refused("prune --older-than 5m");
    assert_eq!(code, 2);
    insta::assert_snapshot!(message, @r"
    error: --grace 10m is longer than --older-than 5m, so nothing old would go
      help: give --grace 5m or less
    ");
    for line in ["prune --disk-high 101", "prune --older-than 72", "prune --cache-mount x", "prune --keep ,"]
    {
        assert_eq!(refused(line).1, 2, "{line}");
    }
}

#[test]
fn an_engine_that_is_not_there_is_named() {
    for line in ["prune", "prune --dry-run --store x", "watch"] {
        let (message, code) = refused(line);
        assert_eq!(code, 125, "{message}");
        assert!(
            message.starts_with("error: cannot reach the docker engine at unix:///nowhere/docker.sock"),
            "{message}"
        );
    }
}
