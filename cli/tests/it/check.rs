//! `ci-build check` and `ci-build plan`, as their users see them.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const RACE: &str = "FROM debian AS a
RUN --mount=type=cache,target=/root/.m2 make a
FROM debian AS b
ARG ID=/root/.m2
RUN --mount=type=cache,id=$ID,target=/root/.m2 make b
FROM debian
COPY --from=a /a /
COPY --from=b /b /
";

/// The command among `files`, in an environment without anything of ours; stdout, stderr and the exit code.
fn run(directory: &Path, arguments: &[&str], stdin: &str) -> (String, String, i32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ci-build"));
    command.args(arguments).current_dir(directory).env_clear().env("FROM_ENVIRONMENT", "other");
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Who does not read stdin may be gone by now.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let [stdout, stderr] = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (stdout, stderr, status.code().unwrap())
}

fn shown(directory: &Path, arguments: &[&str], stdin: &str) -> String {
    let (stdout, stderr, code) = run(directory, arguments, stdin);
    format!("--- stdout\n{stdout}--- stderr\n{stderr}--- exit {code}")
}

fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &[u8]| std::fs::write(directory.path().join(name), text).unwrap();
    write("Dockerfile", RACE.as_bytes());
    write("fine", b"FROM debian\nRUN make\n");
    write("go", RACE.replace("/root/.m2", "/go/pkg/mod").as_bytes());
    write("syntax", b"FROM debian\nFOO bar\n");
    write("binary", b"FROM debian\n\x00\xff");
    write("missing-stage", b"FROM debian\nCOPY --from=5 /a /\n");
    write("loud", format!("# check=error=true\n{RACE}").as_bytes());
    std::fs::create_dir(directory.path().join("directory")).unwrap();
    directory
}

#[test]
fn findings_are_shown_and_counted_by_the_exit_code() {
    let directory = directory();
    let directory = directory.path();
    insta::assert_snapshot!("check-text", shown(directory, &["check"], ""));
    insta::assert_snapshot!(
        "check-json",
        shown(directory, &["check", "--format=json", "fine", "Dockerfile"], "")
    );
    insta::assert_snapshot!("check-github", shown(directory, &["check", "--format=github"], ""));
    let code = |arguments: &[&str]| run(directory, arguments, RACE).2;
    assert_eq!(code(&["check", "fine"]), 0);
    assert_eq!(code(&["check", "-"]), 1);
    assert_eq!(code(&["check", "--fail-on=error"]), 0);
    assert_eq!(code(&["check", "go"]), 0);
    assert_eq!(code(&["check", "--fail-on=note", "go"]), 1);
    assert_eq!(code(&["check", "--fail-on=error", "loud"]), 1);
    assert_eq!(code(&["check", "--target=a"]), 0);
    assert_eq!(code(&["check", "--build-arg=ID=other"]), 0);
    assert_eq!(code(&["check", "--platform=linux/amd64,linux/arm64", "fine"]), 0);
    assert_eq!(code(&["check", "--format=sarif", "fine", "syntax"]), 2);
    assert_eq!(code(&["plan"]), 0);
    for format in ["text", "json", "dot", "mermaid", "svg"] {
        assert_eq!(code(&["plan", "--policy=off", "--format", format, "-"]), 0);
    }
}

#[test]
fn a_build_argument_may_come_from_the_environment() {
    let directory = directory();
    let text = RACE.replace("ID", "FROM_ENVIRONMENT");
    let (_, _, code) = run(directory.path(), &["check", "--build-arg", "FROM_ENVIRONMENT", "-"], &text);
    assert_eq!(code, 0);
    let (_, _, code) = run(directory.path(), &["check", "--build-arg", "UNSET", "-"], &text);
    assert_eq!(code, 1);
}

#[test]
fn what_cannot_be_used_is_told_with_its_place() {
    let directory = directory();
    let files = ["check", "syntax", "binary", "missing-stage", "directory", "absent", "fine"];
    insta::assert_snapshot!("check-unusable", shown(directory.path(), &files, ""));
    let huge = std::fs::File::create(directory.path().join("huge")).unwrap();
    huge.set_len((64 << 20) + 1).unwrap();
    insta::assert_snapshot!("check-huge", shown(directory.path(), &["check", "huge"], ""));
    insta::assert_snapshot!(
        "check-usage",
        shown(directory.path(), &["check", "--platform=a/b/c/d", "fine"], "")
    );
    insta::assert_snapshot!("check-target", shown(directory.path(), &["plan", "--target=nope"], ""));
    std::fs::remove_file(directory.path().join("Dockerfile")).unwrap();
    insta::assert_snapshot!("check-no-file", shown(directory.path(), &["check"], ""));
}

#[test]
fn rules_are_explained_and_help_has_examples() {
    let directory = directory();
    insta::assert_snapshot!(
        "check-explain",
        shown(directory.path(), &["check", "--explain=MixedCacheSharing"], "")
    );
    insta::assert_snapshot!("check-help", shown(directory.path(), &["check", "--help"], ""));
    insta::assert_snapshot!("plan-help", shown(directory.path(), &["plan", "--help"], ""));
    insta::assert_snapshot!(
        "plan-json",
        shown(directory.path(), &["plan", "--policy=order", "--format=json"], "")
    );
}
