//! Containers outlive their containerd, as they should. Here nobody would ever end them.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result};

use crate::{
    command,
    engines::{engines_dir, mount, process},
};

/// What watches over a container.
const SHIM: &str = "containerd-shim-runc-v2";

/// Where shims have runc keep what it knows, by the namespace: `defaultRuncRoot` of containerd's runtime v2.
const RUNC_ROOT: &str = "/run/containerd/runc";

/// Ends the containers of a containerd that is gone and had its files in `dir`: shims, processes, control groups and mounts.
///
/// # Errors
/// When one of them stays.
pub(super) fn end(dir: &Path, programs: &Path) -> Result<()> {
    for shim in process::running_from(&engines_dir()?, &[SHIM], &[dir])? {
        process::end(&shim, Duration::ZERO)?;
    }
    for namespace in entries(&dir.join("state/io.containerd.runtime.v2.task"))? {
        let root = Path::new(RUNC_ROOT).join(namespace.file_name().context("a namespace without a name")?);
        for bundle in entries(&namespace)? {
            let id = bundle.file_name().context("a container without a name")?;
            let mut runc = Command::new(programs.join("runc"));
            command::run(runc.arg("--root").arg(&root).args(["delete", "--force"]).arg(id))?;
        }
        match fs::remove_dir(&root) {
            // Another containerd may have a namespace of this name.
            Err(error)
                if [io::ErrorKind::NotFound, io::ErrorKind::DirectoryNotEmpty].contains(&error.kind()) => {}
            removed => removed.with_context(|| format!("cannot remove {}", root.display()))?,
        }
    }
    mount::unmount_beneath(dir)
}

/// What is in a directory; nothing where there is none.
fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    let list = || fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>();
    match list() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed.with_context(|| format!("cannot list {}", dir.display())),
    }
}
