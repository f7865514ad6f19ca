//! Whether what is published is the same bytes whoever builds it: the frontend's image, built twice from one commit, in two
//! checkouts with target directories of their own.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{artifacts, command, workspace};

/// Builds twice, and gives the image's digest.
///
/// # Errors
/// When it cannot be built, or the two are not the same.
pub fn frontend() -> Result<String> {
    let program = artifacts::command()?;
    let place = tempfile::tempdir().context("cannot make a directory")?;
    let images = ["first", "another-and-longer"].map(|name| image(&program, &place.path().join(name)));
    let [first, second] = images;
    let (first, second) = (first?, second?);
    ensure!(first.1 == second.1, "the images are not the same: {} and {}", first.0, second.0);
    Ok(first.0)
}

/// The digest of the image and its archive, of a checkout of its own.
fn image(program: &Path, checkout: &Path) -> Result<(String, Vec<u8>)> {
    let mut clone = Command::new("git");
    clone.args(["clone", "--quiet", "--shared", "--no-tags"]).arg(workspace::root()).arg(checkout);
    command::run(&mut clone)?;
    let binary = artifacts::frontend_of(checkout, &checkout.join("target"))?;
    let archive = checkout.join("frontend.tar");
    let mut save = Command::new(program);
    command::run(save.args(["frontend", "save"]).arg(&archive).env("CI_BUILD_FRONTEND_BINARY", &binary))?;
    let digest = command::output(Command::new("sha256sum").arg(&archive))?;
    let digest = digest.split_whitespace().next().unwrap_or_default().to_owned();
    let bytes = fs::read(&archive).with_context(|| format!("cannot read {}", archive.display()))?;
    fs::remove_dir_all(checkout).with_context(|| format!("cannot remove {}", checkout.display()))?;
    Ok((digest, bytes))
}
