//! `ci-build frontend`, as its users see it.

use std::fmt::Write as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output};

use crate::elf::{self, AMD64, Elf};

/// The command in an environment that has nothing of ours, docker's or the user's.
fn ci_build(arguments: &[&str], directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ci-build"));
    command.args(arguments).current_dir(directory).env_clear().env("HOME", directory);
    command
}

/// What a person at a terminal would see, and the exit code.
fn shown(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let mut text = String::new();
    for (stream, bytes) in [("stdout", stdout), ("stderr", stderr)] {
        if !bytes.is_empty() {
            write!(text, "--- {stream}\n{}", String::from_utf8(bytes).unwrap()).unwrap();
        }
    }
    write!(text, "--- exit {}", status.code().unwrap()).unwrap();
    text
}

fn directory_with(elf: Elf) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("frontend"), elf.bytes()).unwrap();
    directory
}

#[test]
fn a_saved_archive_is_the_same_in_a_file_and_on_stdout() {
    let directory = directory_with(AMD64);
    let save = |file| {
        let mut command = ci_build(&["frontend", "save", file], directory.path());
        command.env("CI_BUILD_FRONTEND_BINARY", "frontend").output().unwrap()
    };
    let Output { status, stdout: archive, stderr } = save("-");
    assert!(status.success() && stderr.is_empty());
    let Output { status, stdout, stderr } = save("frontend.tar");
    assert!(status.success() && stdout.is_empty() && stderr.is_empty());
    assert_eq!(std::fs::read(directory.path().join("frontend.tar")).unwrap(), archive);
    // A device is written to, not replaced by a file.
    assert!(save("/dev/null").status.success());
    assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
}

#[test]
fn a_binary_that_is_nowhere_is_told_with_where_it_could_be() {
    let built = Path::new(env!("CARGO_BIN_EXE_ci-build"));
    let directory = tempfile::tempdir_in(built.parent().unwrap()).unwrap();
    let bin = directory.path().canonicalize().unwrap().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let program = bin.join("ci-build");
    // A copy would be busy while a process that another test has forked meanwhile still has it open to be written.
    std::fs::hard_link(built, &program).unwrap();
    let text = shown(Command::new(program).args(["frontend", "save", "-"]).env_clear());
    insta::assert_snapshot!(text.replace(bin.parent().unwrap().to_str().unwrap(), "/opt"), @"
    --- stderr
    error: cannot find the frontend's binary
      help: the Debian package and the archive have it, `cargo install` does not (docs/install.md)
      help: put it at '/opt/bin/ci-build-frontend' or '/opt/lib/ci-build/ci-build-frontend'
      help: or name it with --binary PATH or CI_BUILD_FRONTEND_BINARY
    --- exit 2
    ");
}

#[test]
fn a_file_that_is_no_frontend_is_refused() {
    let dynamic = Elf { segments: &[elf::PT_LOAD, elf::PT_INTERP], ..AMD64 };
    let directory = directory_with(dynamic);
    let save =
        |binary| shown(&mut ci_build(&["frontend", "save", "-", "--binary", binary], directory.path()));
    insta::assert_snapshot!(save("frontend"), @"
    --- stderr
    error: cannot make an image of 'frontend': it is linked dynamically
      help: the image holds this one file and no libraries: give a static Linux binary
    --- exit 2
    ");
    insta::assert_snapshot!(save("/dev/zero"), @"
    --- stderr
    error: '/dev/zero' is not a file
      help: name it with --binary PATH or CI_BUILD_FRONTEND_BINARY
    --- exit 2
    ");
    insta::assert_snapshot!(save("absent"), @"
    --- stderr
    error: cannot read the frontend's binary 'absent': No such file or directory (os error 2)
      help: name it with --binary PATH or CI_BUILD_FRONTEND_BINARY
    --- exit 2
    ");
}

#[test]
fn an_engine_that_is_not_there_is_told_with_who_named_it() {
    let directory = directory_with(AMD64);
    let install = |variable, value: &str| {
        let mut command = ci_build(&["frontend", "install", "--binary", "frontend"], directory.path());
        shown(command.env(variable, value))
    };
    insta::assert_snapshot!(install("DOCKER_HOST", "unix:///nowhere/docker.sock"), @"
    --- stderr
    error: cannot reach the docker engine at unix:///nowhere/docker.sock (from DOCKER_HOST): Socket not found: /nowhere/docker.sock
      help: is the engine running, and may this user reach it? `docker version` asks the same
      help: DOCKER_HOST names another engine, such as unix:///run/user/1000/docker.sock
    --- exit 125
    ");
    insta::assert_snapshot!(install("DOCKER_HOST", "ssh://builder"), @"
    --- stderr
    error: cannot speak to an engine at ssh://builder (from DOCKER_HOST)
      help: unix:// and tcp:// (without TLS) work
    --- exit 2
    ");
    insta::assert_snapshot!(install("DOCKER_CONTEXT", "elsewhere"), @"
    --- stderr
    error: docker's context 'elsewhere' names no engine
      help: `docker context ls` shows the contexts, DOCKER_CONTEXT chooses one
      help: or name the engine with DOCKER_HOST, such as unix:///var/run/docker.sock
    --- exit 2
    ");
    // A socket that nobody listens on any more.
    let socket = directory.path().join("docker.sock");
    drop(UnixListener::bind(&socket).unwrap());
    let text = install("DOCKER_HOST", &format!("unix://{}", socket.display()));
    insta::assert_snapshot!(text.replace(directory.path().to_str().unwrap(), "/run"), @"
    --- stderr
    error: cannot reach the docker engine at unix:///run/docker.sock (from DOCKER_HOST): Connection refused (os error 111)
      help: is the engine running, and may this user reach it? `docker version` asks the same
      help: DOCKER_HOST names another engine, such as unix:///run/user/1000/docker.sock
    --- exit 125
    ");
}

#[test]
fn a_registry_that_is_not_there_is_our_failure() {
    let directory = directory_with(AMD64);
    // Port 1 is nobody's.
    let arguments = ["frontend", "push", "127.0.0.1:1/ci-build/frontend", "--binary", "frontend"];
    insta::assert_snapshot!(shown(&mut ci_build(&arguments, directory.path())), @"
    --- stderr
    error: cannot reach the registry '127.0.0.1:1': Connection refused (os error 111)
    --- exit 125
    ");
}

#[test]
fn a_push_goes_on_where_a_registry_stumbles() {
    use ci_build_test_registry::{Fault, On, Registry};
    let directory = directory_with(AMD64);
    let registry = Registry::start().unwrap();
    registry.ask_for_tokens("me", "secret");
    let name = format!("{}/ci-build/frontend:1", registry.address());
    let push = || {
        shown(
            ci_build(&["frontend", "push", &name, "--binary", "frontend"], directory.path())
                .env("DOCKER_CONFIG", "."),
        )
    };
    let denied = push();
    assert!(denied.contains("does not let us push") && denied.contains("docker login"), "{denied}");
    // me:secret
    let auths = serde_json::json!({"auths": {registry.address().to_string(): {"auth": "bWU6c2VjcmV0"}}});
    std::fs::write(directory.path().join("config.json"), auths.to_string()).unwrap();
    registry.fault_times(On::Patch, Fault::LoginEnds, 1);
    let pushed = push();
    let digest = registry.tag("ci-build/frontend", "1").expect(&pushed);
    assert_eq!(pushed, format!("--- stdout\n{name}@{digest}\n--- exit 0"));
    registry.forget();
    assert_eq!(push(), pushed);
    let sent = registry.requests().into_iter().filter(|request| request.method == "PATCH").count();
    assert_eq!(sent, 0, "it is there");
}

#[test]
fn docker_configuration_that_is_broken_is_told() {
    let directory = directory_with(AMD64);
    std::fs::write(directory.path().join("config.json"), "{").unwrap();
    let with = |arguments: &[&str]| shown(ci_build(arguments, directory.path()).env("DOCKER_CONFIG", "."));
    insta::assert_snapshot!(with(&["frontend", "install", "--binary=frontend"]), @"
    --- stderr
    error: cannot read docker's configuration './config.json': EOF while parsing an object at line 1 column 1
      help: DOCKER_CONFIG names the directory of another configuration
    --- exit 2
    ");
    insta::assert_snapshot!(with(&["frontend", "push", "localhost:1/a", "--binary=frontend"]), @"
    --- stderr
    error: cannot read docker's credentials for 'localhost:1': config.json is not what docker writes
      help: `docker login localhost:1` writes the credentials anew
    --- exit 2
    ");
}

#[test]
fn a_name_that_is_none_is_wrong_usage() {
    let directory = tempfile::tempdir().unwrap();
    insta::assert_snapshot!(shown(&mut ci_build(&["frontend", "install", "--name", "a:b:c"], directory.path())), @"
    --- stderr
    error: invalid value 'a:b:c' for '--name <REF>': the name of an image is of the form registry.example/team/app:1

    For more information, try '--help'.
    --- exit 2
    ");
    insta::assert_snapshot!(shown(&mut ci_build(&["frontend", "push"], directory.path())), @"
    --- stderr
    error: the following required arguments were not provided:
      <REF>

    Usage: ci-build frontend push <REF>

    For more information, try '--help'.
    --- exit 2
    ");
}

#[test]
fn every_command_shows_its_help_with_examples() {
    let directory = tempfile::tempdir().unwrap();
    for command in ["", "install", "save", "push"] {
        let arguments: Vec<_> =
            ["frontend", command, "--help"].into_iter().filter(|a| !a.is_empty()).collect();
        let name = format!("help-{}", if command.is_empty() { "frontend" } else { command });
        let text = shown(&mut ci_build(&arguments, directory.path()));
        insta::assert_snapshot!(name, text.replace(env!("CARGO_PKG_VERSION"), "[VERSION]"));
    }
}
