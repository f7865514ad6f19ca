//! Directories to be swept, and a sweep of them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tempfile::TempDir;

use super::super::lock::command::ci_build;
use super::naive::{paths, set_times};

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
        for path in paths(&self.tree()).unwrap() {
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
        paths(&tree).unwrap().into_iter().map(name).collect()
    }
}

/// As if it had been read and changed so long ago.
pub(super) fn set_age(path: &Path, read: Duration, changed: Duration) {
    let now = SystemTime::now();
    set_times(path, now - read, now - changed).unwrap();
}
