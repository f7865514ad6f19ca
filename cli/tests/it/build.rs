//! `ci-build build`, with a buildx that only shows what it got.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// Prints its words and what it reads of us, and ends with a code of its own.
const BUILDX: &str = r#"#!/bin/sh
[ "$1" = inspect ] && { rm -f "$REPLACED"; echo "Driver: docker-container"; exit; }
echo "words: $*"
while [ $# -gt 0 ]; do
    case $1 in
        --file) file=$2; echo "beside it: $(ls "$(dirname "$2")" | tr '\n' ' ')" ;;
        --metadata-file) : > "$2" ;;
    esac
    shift
done
[ -z "$file" ] || { echo "file:"; cat "$file"; }
echo "stdin:"
cat
exit 3
"#;

const RACE: &str = "\
FROM x AS a
RUN --mount=type=cache,target=/c a
FROM x
RUN --mount=type=cache,target=/c b
COPY --from=a / /
";

struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let plugins = dir.path().join("docker/cli-plugins");
        fs::create_dir_all(&plugins).unwrap();
        fs::write(plugins.join("docker-buildx"), BUILDX).unwrap();
        fs::set_permissions(plugins.join("docker-buildx"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(dir.path().join("context")).unwrap();
        Self(dir)
    }

    fn file(&self, name: &str, text: &str) {
        fs::write(self.0.path().join("context").join(name), text).unwrap();
    }

    /// What buildx got, and what we said: without the places that differ from run to run.
    fn build(&self, line: &str, stdin: &str) -> String {
        self.build_by(Command::new(env!("CARGO_BIN_EXE_ci-build")), line, stdin)
    }

    fn build_by(&self, mut command: Command, line: &str, stdin: &str) -> String {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let replaced = Path::new(command.get_program()).with_extension("replaced");
        command
            .env_clear()
            .env("REPLACED", replaced)
            .env("PATH", path)
            .env("CI_BUILD_STATE_DIR", self.0.path().join("state"));
        command.env("DOCKER_CONFIG", self.0.path().join("docker")).env("CI_BUILD_STORE", "x");
        command.env("DOCKER_HOST", "unix:///nowhere/at/all").current_dir(self.0.path().join("context"));
        command.arg("build").args(line.split_ascii_whitespace());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // Whoever does not read it has ended.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let output = child.wait_with_output().unwrap();
        let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        let code = output.status.code().unwrap();
        self.assert_nothing_left();
        let place = self.0.path().display().to_string();
        let text = format!("{out}{err}exit code: {code}").replace(&place, "…");
        without_scratch(&text)
    }

    fn assert_nothing_left(&self) {
        let scratch = self.0.path().join("state/stores/name.x/scratch");
        let left =
            fs::read_dir(scratch).map(|entries| entries.flatten().map(|entry| entry.file_name()).collect());
        let left: Vec<_> = left.unwrap_or_default();
        assert!(left.iter().all(|name| name == ".lock"), "{left:?}");
    }
}

/// Without the names that nobody can guess.
fn without_scratch(text: &str) -> String {
    let is_ours = |c: char| c.is_ascii_alphanumeric() || c == '-';
    ["scratch/", "CI_BUILD_RUN="].into_iter().fold(text.to_owned(), |text, mark| {
        let mut parts = text.split(mark);
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |clean, part| format!("{clean}{mark}…{}", part.trim_start_matches(is_ours)))
    })
}

/// Somebody installs another version while a build runs.
#[test]
fn a_program_that_is_replaced_goes_on() {
    let machine = Machine::new();
    let program = machine.0.path().join("ci-build.replaced");
    fs::copy(env!("CARGO_BIN_EXE_ci-build"), &program).unwrap();
    let said = machine.build_by(Command::new(&program), "--builder b .", "");
    assert!(!program.exists() && said.contains("words: build"), "{said}");
}

#[test]
fn with_policy_off_buildx_gets_its_words_as_they_are() {
    let machine = Machine::new();
    insta::assert_snapshot!(machine.build("-t a --policy off --push --wait=5m . --build-arg A=B", "in"), @r"
    words: build -t a --push . --build-arg A=B --metadata-file …/state/stores/name.x/scratch/…/metadata.json
    stdin:
    inexit code: 3
    ");
    insta::assert_snapshot!(machine.build("--policy=off --metadata-file m -- --policy filename=x .", ""), @r"
    words: build --metadata-file m --policy filename=x .
    stdin:
    exit code: 3
    ");
    insta::assert_snapshot!(machine.build("--policy=off --check .", ""), @r"
    words: build --check .
    stdin:
    exit code: 3
    ");
}

#[test]
fn a_text_is_mended_and_takes_the_place_of_the_file() {
    let machine = Machine::new();
    machine.file("Dockerfile", RACE);
    machine.file("Dockerfile.dockerignore", "secret");
    machine.file("Dockerfile.rego", "package docker");
    insta::assert_snapshot!(machine.build("--frontend none -t a .", ""), @r"
    words: build -t a . --file …/state/stores/name.x/scratch/…/Dockerfile --build-arg CI_BUILD_RUN=… --metadata-file …/state/stores/name.x/scratch/…/metadata.json
    beside it: Dockerfile Dockerfile.dockerignore Dockerfile.rego 
    file:
    FROM x AS a
    RUN --mount=type=cache,target=/c,sharing=locked a
    FROM x
    RUN --mount=type=cache,target=/c,sharing=locked b
    COPY --from=a / /
    stdin:
    exit code: 3
    ");
    insta::assert_snapshot!(machine.build("--builder other -f - .", RACE), @r"
    words: build --builder other -f - . --metadata-file …/state/stores/name.x/scratch/…/metadata.json
    stdin:
    FROM x AS a
    RUN --mount=type=cache,target=/c,sharing=locked a
    FROM x
    RUN --mount=type=cache,target=/c,sharing=locked b
    COPY --from=a / /
    exit code: 3
    ");
    insta::assert_snapshot!(machine.build("--builder other -", RACE), @r"
    words: build --builder other - --metadata-file …/state/stores/name.x/scratch/…/metadata.json
    stdin:
    FROM x AS a
    RUN --mount=type=cache,target=/c,sharing=locked a
    FROM x
    RUN --mount=type=cache,target=/c,sharing=locked b
    COPY --from=a / /
    exit code: 3
    ");
}

#[test]
fn what_cannot_be_mended_is_told_once() {
    let machine = Machine::new();
    insta::assert_snapshot!(machine.build("--builder other https://example.org/x.git", ""), @r"
    words: build --builder other https://example.org/x.git --metadata-file …/state/stores/name.x/scratch/…/metadata.json
    stdin:
    warning: the build is not mended: a docker-container builder does not see the frontend, and ci-build not the Dockerfile
      help: name an image that the builder can pull with --frontend; `ci-build frontend push` makes one
    exit code: 3
    ");
    machine.file("Dockerfile", "FROM x\nNO SUCH\n");
    insta::assert_snapshot!(machine.build("--builder other .", ""), @r"
    words: build --builder other . --metadata-file …/state/stores/name.x/scratch/…/metadata.json
    stdin:
    warning: the build is not mended: 2:1: unknown instruction NO
    exit code: 3
    ");
}

#[test]
fn a_frontend_that_the_builder_can_pull_is_given_to_it() {
    let machine = Machine::new();
    machine.file("Dockerfile", "# syntax=docker/dockerfile:1\nFROM x\n");
    let line = "--builder other --frontend r.example/f:1 --policy lock --scope host .";
    insta::assert_snapshot!(machine.build(line, ""), @r"
    words: build --builder other . --build-arg BUILDKIT_SYNTAX=r.example/f:1 upstream=docker/dockerfile:1 --build-arg CI_BUILD_POLICY=lock --build-arg CI_BUILD_SCOPE=host --metadata-file …/state/stores/name.x/scratch/…/metadata.json
    stdin:
    exit code: 3
    ");
    insta::assert_snapshot!(machine.build("--builder other --build-arg BUILDKIT_SYNTAX=mine .", ""), @r"
    words: build --builder other --build-arg BUILDKIT_SYNTAX=mine . --metadata-file …/state/stores/name.x/scratch/…/metadata.json
    stdin:
    exit code: 3
    ");
}

#[test]
fn wrong_usage_is_ours_to_tell() {
    let machine = Machine::new();
    insta::assert_snapshot!(machine.build("--policy fast .", ""), @r"
    error: invalid value 'fast' for '--policy <POLICY>'
      [possible values: auto, lock, order, prime, namespace, off]

    For more information, try '--help'.
    exit code: 2
    ");
    insta::assert_snapshot!(machine.build("--wait soon .", ""), @r"
    error: invalid value 'soon' for '--wait <TIME>': write it with its unit, such as 30s, 10m, 2h or 7d

    For more information, try '--help'.
    exit code: 2
    ");
}

#[test]
fn help_is_ours() {
    insta::assert_snapshot!(Machine::new().build("--help", ""), @r"
    Build as docker buildx build does, mended, under the engine's shared lock, and lease the result

    Usage: ci-build build [OPTIONS] [BUILDX ARGUMENTS]… PATH | URL | -

    Options:
          --policy <POLICY>         How hazards are mended; off is buildx as it is [default: what the
                                    Dockerfile says, else auto] [env: CI_BUILD_POLICY=] [possible
                                    values: auto, lock, order, prime, namespace, off]
          --scope <SCOPE>           Against whom caches are kept apart: the steps of this build, or
                                    other builds of the host too [default: what the Dockerfile says,
                                    else build] [env: CI_BUILD_SCOPE=] [possible values: build, host]
          --store <NAME>            A store by its name, which needs no engine [default: the engine that
                                    docker would use] [env: CI_BUILD_STORE=x]
          --timeout <TIME>          How long it may take; then it is ended [default: as long as it
                                    takes] [env: CI_BUILD_TIMEOUT=]
          --grace <TIME>            How long it may take to end, before it is killed [env:
                                    CI_BUILD_GRACE=] [default: 10s]
          --no-recover              Do not look first for what killed commands left [env:
                                    CI_BUILD_NO_RECOVER=]
          --wait <TIME>             How long to wait for the lock; 0 is not at all [env: CI_BUILD_WAIT=]
                                    [default: 1h]
          --frontend <REF>          The frontend's image as the builder can pull it, or none to rewrite
                                    the Dockerfile's text instead [default: given to the engine from
                                    here; the text where the builder is not the engine's own] [env:
                                    CI_BUILD_FRONTEND=]
          --frontend-binary <PATH>  The frontend's static binary [default: as for `ci-build frontend
                                    install`] [env: CI_BUILD_FRONTEND_BINARY=]
          --frontend-name <REF>     The name that the engine gets the frontend under [env:
                                    CI_BUILD_FRONTEND_NAME=] [default:
                                    localhost/ci-build/frontend:0.1.0]
      -h, --help                    Print help

    Examples:
      ci-build build -t app .
      ci-build build --policy lock --scope host -t app --push .
      ci-build build --timeout 30m --wait 10m -f docker/Dockerfile --build-arg VERSION=1 .
      ci-build build --policy off -t app .
      ci-build build -- --policy filename=app.rego .

    All other arguments are those of `docker buildx build`, in any place. What stands behind -- is all
    buildx's, and so is --policy with key=value: `ci-build build -- --help` shows its help.

    Exit codes: what buildx ends with (128 + n for signal n), 75 gave up waiting for the lock, 2 wrong
    usage, 125 our own failure
    exit code: 0
    ");
}
