//! A Debian package, by Debian's own `dpkg-deb`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{CONFIGURATION, Programs, VERSION, lay_out, moment};
use crate::{command, workspace};

/// What dpkg runs.
const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];

/// Makes the package in this directory, and gives its place.
///
/// # Errors
/// When something is missing, or dpkg-deb does not take it.
pub fn make(programs: &Programs, directory: &Path) -> Result<PathBuf> {
    let tree = lay_out(programs)?;
    let architecture = command::output(Command::new("dpkg").arg("--print-architecture"));
    let architecture = architecture.context("a Debian package is made where dpkg is")?;
    let sources = workspace::root().join("packaging/debian");
    let read = |name: &str| {
        let path = sources.join(name);
        fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let control = String::from_utf8(read("control")?).context("the control file is no text")?;
    let control = control
        .replace("{version}", VERSION)
        .replace("{architecture}", architecture.trim())
        .replace("{installed-size}", &size(&tree)?.to_string());
    tree.write("DEBIAN/control", control.as_bytes(), 0o644)?;
    tree.write("DEBIAN/conffiles", format!("/{CONFIGURATION}\n").as_bytes(), 0o644)?;
    for script in SCRIPTS {
        tree.write(&format!("DEBIAN/{script}"), &read(script)?, 0o755)?;
    }
    let package = directory.join(format!("ci-build_{VERSION}_{}.deb", architecture.trim()));
    let mut build = Command::new("dpkg-deb");
    build.args(["--root-owner-group", "-Zxz", "--build"]).arg(tree.path()).arg(&package);
    command::run(build.env("SOURCE_DATE_EPOCH", moment()?.to_string()))?;
    Ok(package)
}

/// What it takes on a disk, in KiB.
fn size(tree: &super::Tree) -> Result<u64> {
    let mut bytes = 0;
    for entry in tree.entries()? {
        let path = tree.path().join(&entry);
        let found = fs::metadata(&path).with_context(|| format!("cannot look at {}", path.display()))?;
        bytes += if found.is_dir() { 1024 } else { found.len().div_ceil(1024) * 1024 };
    }
    Ok(bytes / 1024)
}
