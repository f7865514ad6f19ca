//! `ci-build rewrite --output`: a whole file or none, in the place that people expect.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

const RACE: &str = "FROM debian AS a
RUN --mount=type=cache,target=/root/.m2 make a
FROM debian AS b
RUN --mount=type=cache,target=/root/.m2 make b
FROM debian
COPY --from=a /a /
COPY --from=b /b /
";

/// A directory with the Dockerfile, which only its owner may write to.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("Dockerfile"), RACE).unwrap();
    directory
}

/// Stderr and the exit code.
fn rewrite(directory: &Path, output: &str) -> (String, i32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ci-build"));
    command.args(["rewrite", "Dockerfile", "-o", output]).current_dir(directory).env_clear();
    let out = command.stdout(Stdio::null()).output().unwrap();
    (String::from_utf8(out.stderr).unwrap(), out.status.code().unwrap())
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

fn mended() -> String {
    RACE.replace("target=/root/.m2", "target=/root/.m2,sharing=locked")
}

#[test]
fn a_file_is_replaced_as_a_whole_and_keeps_its_mode() {
    let directory = directory();
    let directory = directory.path();
    let file = directory.join("Dockerfile");
    fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
    fs::hard_link(&file, directory.join("other")).unwrap();
    let before = fs::metadata(&file).unwrap();
    let (stderr, code) = rewrite(directory, "Dockerfile");
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(fs::read_to_string(&file).unwrap(), mended());
    let after = fs::metadata(&file).unwrap();
    assert_eq!((after.mode(), after.uid(), after.gid()), (before.mode(), before.uid(), before.gid()));
    // Nobody who reads the old file sees it change.
    assert_ne!(after.ino(), before.ino());
    assert_eq!(fs::read_to_string(directory.join("other")).unwrap(), RACE);
    assert_eq!(names(directory), ["Dockerfile", "other"]);
}

#[test]
fn a_new_file_has_the_mode_of_new_files() {
    let directory = directory();
    let directory = directory.path();
    assert_eq!(rewrite(directory, "new").1, 0);
    fs::write(directory.join("usual"), "").unwrap();
    let mode = |name: &str| fs::metadata(directory.join(name)).unwrap().mode();
    assert_eq!(mode("new"), mode("usual"));
    assert_eq!(fs::read_to_string(directory.join("new")).unwrap(), mended());
}

#[test]
fn a_link_stays_and_what_it_leads_to_is_written() {
    let directory = directory();
    let directory = directory.path();
    fs::create_dir(directory.join("docker")).unwrap();
    fs::write(directory.join("docker/file"), "old").unwrap();
    symlink("docker/second", directory.join("first")).unwrap();
    symlink("file", directory.join("docker/second")).unwrap();
    assert_eq!(rewrite(directory, "first").1, 0);
    assert_eq!(fs::read_to_string(directory.join("docker/file")).unwrap(), mended());
    assert!(fs::symlink_metadata(directory.join("first")).unwrap().is_symlink());
    // One that leads nowhere yet.
    symlink("docker/new", directory.join("dangling")).unwrap();
    assert_eq!(rewrite(directory, "dangling").1, 0);
    assert_eq!(fs::read_to_string(directory.join("docker/new")).unwrap(), mended());
    assert_eq!(names(&directory.join("docker")), ["file", "new", "second"]);
}

#[test]
fn a_link_that_others_can_change_is_refused() {
    let directory = directory();
    let directory = directory.path();
    let open = directory.join("open");
    fs::create_dir(&open).unwrap();
    fs::write(directory.join("precious"), "old").unwrap();
    symlink("../precious", open.join("link")).unwrap();
    fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
    let (stderr, code) = rewrite(directory, "open/link");
    insta::assert_snapshot!(format!("{stderr}exit {code}"), @r"
    error: 'open/link' is a link that others can change
      help: name the file that it leads to
    exit 2
    ");
    assert_eq!(fs::read_to_string(directory.join("precious")).unwrap(), "old");
    // Where nobody else may take it away, as in /tmp, our own link is ours.
    fs::set_permissions(&open, Permissions::from_mode(0o1777)).unwrap();
    assert_eq!(rewrite(directory, "open/link").1, 0);
    assert_eq!(fs::read_to_string(directory.join("precious")).unwrap(), mended());
}

#[test]
fn what_is_no_file_is_written_to() {
    let directory = directory();
    let directory = directory.path();
    assert_eq!(rewrite(directory, "/dev/null").1, 0);
    let mut command = Command::new(env!("CARGO_BIN_EXE_ci-build"));
    command.args(["rewrite", "Dockerfile", "-o", "/dev/stdout"]).current_dir(directory);
    let out = command.output().unwrap();
    assert_eq!(String::from_utf8(out.stdout).unwrap(), mended());
    assert_eq!(names(directory), ["Dockerfile"]);
}

#[test]
fn what_cannot_be_written_is_told_and_leaves_nothing() {
    let directory = directory();
    let directory = directory.path();
    fs::create_dir(directory.join("directory")).unwrap();
    symlink("loop", directory.join("loop")).unwrap();
    let told = ["directory", "absent/file", "loop", "/proc/none"].map(|output| {
        let (stderr, code) = rewrite(directory, output);
        format!("{stderr}exit {code}\n")
    });
    insta::assert_snapshot!(told.concat(), @r"
    error: cannot write 'directory': Is a directory (os error 21)
    exit 125
    error: cannot make a new file in 'absent': entity not found
    exit 125
    error: cannot write 'loop': Too many levels of symbolic links (os error 40)
    exit 125
    error: cannot make a new file in '/proc': entity not found
    exit 125
    ");
    assert_eq!(names(directory), ["Dockerfile", "directory", "loop"]);
    assert_eq!(fs::read_to_string(directory.join("Dockerfile")).unwrap(), RACE);
}
