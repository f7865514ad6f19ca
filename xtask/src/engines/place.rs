//! Where engines lie on the disk.

use std::{
    fs,
    fs::{DirBuilder, File, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use tempfile::Builder;

use crate::workspace;

/// `<target>/engines`: everything beneath it belongs to this module.
///
/// # Errors
/// When it cannot be created.
pub(crate) fn engines_dir() -> Result<PathBuf> {
    let dir = workspace::target()?.join("engines");
    create_private_dir(&dir)?;
    // dockerd and /proc show paths without links, and the clean-up compares with what they show.
    dir.canonicalize().with_context(|| format!("cannot resolve {}", dir.display()))
}

/// The running engines, one directory each.
///
/// # Errors
/// When it cannot be created.
pub(super) fn runs_dir() -> Result<PathBuf> {
    let dir = engines_dir()?.join("run");
    create_private_dir(&dir)?;
    Ok(dir)
}

/// Creates `dir` and its parents where they are missing; `dir` itself is for this user alone.
pub(super) fn create_private_dir(dir: &Path) -> Result<()> {
    if let Some(parent) = dir.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    }
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        created => created.with_context(|| format!("cannot create {}", dir.display())),
    }
}

/// Creates a directory in `parent` whose name nobody can foresee, for this user alone; it stays.
///
/// # Errors
/// When it cannot be created.
pub(super) fn create_unpredictable_dir(parent: &Path, prefix: &str) -> Result<PathBuf> {
    let dir = Builder::new().prefix(prefix).permissions(Permissions::from_mode(0o700)).tempdir_in(parent);
    Ok(dir.with_context(|| format!("cannot create a directory in {}", parent.display()))?.keep())
}

/// Waits until this process alone holds `path`, a file that is nothing but a lock and is never deleted.
///
/// # Errors
/// When the file cannot be created or locked.
pub(crate) fn lock(path: &Path) -> Result<File> {
    let file = File::options().create(true).truncate(false).write(true).open(path);
    let file = file.with_context(|| format!("cannot open {}", path.display()))?;
    file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}
