//! State directories on disks that are full or read-only. The disks are of the tests' own: file systems in memory, in a mount
//! namespace that ends with its last process.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs a script with a file system of this size at `$state`, in a namespace where mounts are nobody else's.
pub(crate) fn on_a_disk(size: &str, script: &str) -> (String, String, i32) {
    let place = tempfile::tempdir().unwrap();
    let mut command = Command::new("unshare");
    // Who is not root is root in a user namespace.
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    let mounted = format!("set -e; mount -t tmpfs -o {size},mode=700 disk \"$CI_BUILD_STATE_DIR\"; {script}");
    command.args(["--mount", "sh", "-c", &mounted]);
    command.env("CI_BUILD_STATE_DIR", place.path()).env("ci", env!("CARGO_BIN_EXE_ci-build"));
    command.env("CI_BUILD_CONFIG", "").stdin(Stdio::null());
    let Output { status, stdout, stderr } = command.output().unwrap();
    let [stdout, stderr] = [stdout, stderr].map(|bytes| shown(&bytes, place.path()));
    (stdout, stderr, status.code().unwrap())
}

fn shown(bytes: &[u8], place: &Path) -> String {
    String::from_utf8_lossy(bytes).replace(place.to_str().unwrap(), "/state")
}

/// Fills the disk to its last byte.
const FILL: &str = "cat /dev/zero > \"$CI_BUILD_STATE_DIR/ballast\" 2>/dev/null || true;";

#[test]
fn a_full_disk_keeps_nobody_from_a_lock_that_is_there() {
    let script = format!(
        "\"$ci\" lock --store x -- true; {FILL} \"$ci\" lock --store x -- sh -c \
         'echo in; ! flock --nonblock \"$CI_BUILD_STATE_DIR/stores/name.x/lock\" true && echo locked'"
    );
    let (stdout, stderr, code) = on_a_disk("size=64k", &script);
    assert_eq!((stdout.as_str(), code), ("in\nlocked\n", 0), "{stderr}");
    insta::assert_snapshot!(stderr, @"warning: the disk is full, so nobody can see who holds the store 'x'");
}

#[test]
fn without_room_for_the_lock_itself_it_is_told() {
    // The root is one inode, and the directory of all stores another.
    let (stdout, stderr, code) = on_a_disk("nr_inodes=2", "\"$ci\" lock --store x -- echo in");
    assert_eq!((stdout.as_str(), code), ("", 125), "{stderr}");
    insta::assert_snapshot!(stderr, @r"
    error: cannot make '/state/stores/name.x': No space left on device (os error 28)
      help: the disk is full: free some of it
      help: CI_BUILD_STATE_DIR names another directory; all who use the engine need the same
    ");
}

#[test]
fn a_state_directory_that_is_read_only_is_told() {
    let read_only = "mount -o remount,ro \"$CI_BUILD_STATE_DIR\";";
    let (stdout, stderr, code) =
        on_a_disk("size=64k", &format!("{read_only} \"$ci\" lock --store x -- echo in"));
    assert_eq!((stdout.as_str(), code), ("", 125), "{stderr}");
    insta::assert_snapshot!(stderr, @r"
    error: cannot make '/state/stores': Read-only file system (os error 30)
      help: the file system is read-only
      help: CI_BUILD_STATE_DIR names another directory; all who use the engine need the same
    ");
    let script = format!("\"$ci\" lock --store x -- true; {read_only} \"$ci\" lock --store x -- echo in");
    let (stdout, stderr, code) = on_a_disk("size=64k", &script);
    assert_eq!((stdout.as_str(), code), ("", 125), "{stderr}");
    assert!(stderr.contains("help: the file system is read-only"), "{stderr}");
    // Who only looks needs no more.
    let script = format!("\"$ci\" lock --store x -- true; {read_only} \"$ci\" status --format json");
    let (stdout, stderr, code) = on_a_disk("size=64k", &script);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.starts_with("{\"schema\":1"), "{stdout}");
}
