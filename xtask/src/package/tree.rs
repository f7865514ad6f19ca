//! A directory that looks as a root directory does after an installation.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use tempfile::TempDir;

use super::file_name;

/// All that is installed, until this value goes.
#[derive(Debug)]
pub struct Tree(TempDir);

impl Tree {
    pub(super) fn new() -> Result<Self> {
        let directory = tempfile::tempdir().context("cannot make a directory")?;
        set_mode(directory.path(), 0o755)?;
        Ok(Self(directory))
    }

    /// The root.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Adds a file, or all files of a directory.
    pub(super) fn add(&self, from: &Path, to: &str, mode: u32, is_packed: bool) -> Result<()> {
        if from.is_dir() {
            for found in sorted(from)? {
                self.add(&found, &format!("{to}/{}", file_name(&found)?), mode, is_packed)?;
            }
            return Ok(());
        }
        let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        if is_packed {
            self.write(&format!("{to}.gz"), &packed(&bytes)?, mode)
        } else {
            self.write(to, &bytes, mode)
        }
    }

    /// Adds a file with this content.
    pub(super) fn write(&self, to: &str, bytes: &[u8], mode: u32) -> Result<()> {
        let path = self.path().join(to);
        let write = || {
            let directory = path.parent().unwrap_or(self.path());
            fs::create_dir_all(directory)?;
            fs::write(&path, bytes)
        };
        write().with_context(|| format!("cannot write {}", path.display()))?;
        let above = Path::new(to).ancestors().skip(1).filter(|path| !path.as_os_str().is_empty());
        above.into_iter().try_for_each(|directory| set_mode(&self.path().join(directory), 0o755))?;
        set_mode(&path, mode)
    }

    /// Everything in it, directories too, in the order of their names: each its path from the root.
    pub(super) fn entries(&self) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        let mut open = vec![self.path().to_owned()];
        while let Some(directory) = open.pop() {
            for path in sorted(&directory)? {
                let inside = path.strip_prefix(self.path()).context("an entry is inside")?;
                found.push(inside.to_owned());
                if path.is_dir() {
                    open.push(path);
                }
            }
        }
        found.sort();
        Ok(found)
    }
}

/// Without the time and the name, which would be others each time.
fn packed(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut packer = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    packer.write_all(bytes)?;
    Ok(packer.finish()?)
}

fn sorted(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).and_then(|entries| {
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<std::io::Result<Vec<_>>>()
    });
    let mut entries = entries.with_context(|| format!("cannot list {}", directory.display()))?;
    entries.sort();
    Ok(entries)
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    let set = fs::set_permissions(path, Permissions::from_mode(mode));
    set.with_context(|| format!("cannot set the mode of {}", path.display()))
}
