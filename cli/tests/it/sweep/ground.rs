//! Directories to be swept, and a sweep of them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use serde_json::Value;
use tempfile::TempDir;

use super::super::lock::command::ci_build;

pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);

/// A directory `tree` and a state directory, which go together.
pub(super) struct Ground {
    directory: TempDir,
}

impl Ground {
    pub(super) fn new() -> Self {
        Self::in_directory(&std::env::temp_dir())
    }

    pub(super) fn in_directory(parent: &Path) -> Self {
        let directory = tempfile::tempdir_in(parent).unwrap();
        std::fs::create_dir(directory.path().join("tree")).unwrap();
        Self { directory }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.directory.path().canonicalize().unwrap()
    }

    pub(super) fn tree(&self) -> PathBuf {
        self.path().join("tree")
    }

    pub(super) fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    pub(super) fn trail(&self) -> PathBuf {
        self.state().join("sweep/trail.jsonl")
    }

    /// A file that was read and changed so long ago.
    pub(super) fn file(&self, path: impl AsRef<OsStr>, age: Duration) -> PathBuf {
        let path = self.tree().join(Path::new(path.as_ref()));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, [7; 5000]).unwrap();
        set_age(&path, age, age);
        path
    }

    /// All directories are so old, but for the tree itself.
    pub(super) fn age_directories(&self, age: Duration) {
        for path in paths(&self.tree()) {
            if path.symlink_metadata().unwrap().is_dir() {
                set_age(&path, age, age);
            }
        }
    }

    /// A sweep of the tree with these flags.
    pub(super) fn command(&self, flags: &str) -> Command {
        let mut command = ci_build(&self.state(), &format!("sweep --io normal {flags}"));
        command.arg(self.tree());
        command
    }

    pub(super) fn run(&self, flags: &str) -> Output {
        self.command(flags).output().unwrap()
    }

    /// What a sweep with these flags tells of the tree.
    pub(super) fn sweep(&self, flags: &str) -> Value {
        let output = self.run(&format!("--format json {flags}"));
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let mut document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(document["schema"], 1);
        document["directories"][0].take()
    }

    /// What the trail says.
    pub(super) fn lines(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.trail()).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The paths that are left, as text.
    pub(super) fn left(&self) -> Vec<String> {
        let tree = self.tree();
        let name = |path: PathBuf| path.strip_prefix(&tree).unwrap().to_string_lossy().into_owned();
        paths(&tree).into_iter().map(name).collect()
    }
}

/// All that is below, what is in a directory after it, in the order of the names. By recursion and by paths, as nobody should.
pub(super) fn paths(directory: &Path) -> Vec<PathBuf> {
    let mut names: Vec<PathBuf> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort_unstable_by(|a, b| a.as_os_str().as_bytes().cmp(b.as_os_str().as_bytes()));
    let mut found = Vec::new();
    for path in names {
        let is_directory = path.symlink_metadata().unwrap().is_dir();
        found.push(path.clone());
        if is_directory {
            found.extend(paths(&path));
        }
    }
    found
}

/// As if it had been read and changed so long ago.
pub(super) fn set_age(path: &Path, read: Duration, changed: Duration) {
    let at = |ago| {
        let time = (SystemTime::now() - ago).duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Timespec { tv_sec: time.as_secs().try_into().unwrap(), tv_nsec: time.subsec_nanos().into() }
    };
    let times = Timestamps { last_access: at(read), last_modification: at(changed) };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}
