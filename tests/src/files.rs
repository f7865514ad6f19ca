//! What is in an image.

use std::fs::File;

use anyhow::{Context, Result, ensure};
use xtask::build::Build;
use xtask::client::Client;
use xtask::command;

/// Everything that is in the image of a build, a line each, but for times: path, kind, permissions, owner and size.
///
/// # Errors
/// When the build fails, or its image cannot be looked into.
pub fn files(client: &Client, build: Build) -> Result<String> {
    const NAME: &str = "local/files:latest";
    let outcome = build.argument("--provenance=false").argument(&format!("--tag={NAME}")).run()?;
    ensure!(outcome.succeeded(), "{}", outcome.output);
    let container = command::output(client.docker().args(["create", NAME, "true"]))?;
    let container = container.trim();
    let dir = tempfile::tempdir().context("cannot create a directory")?;
    let path = dir.path().join("image.tar");
    command::run(client.docker().args(["export", container, "--output"]).arg(&path))?;
    command::run(client.docker().args(["rm", container]))?;
    let mut lines = Vec::new();
    let file = File::open(path).context("cannot open an image")?;
    for entry in tar::Archive::new(file).entries().context("it is an archive")? {
        let entry = entry.context("it is an archive")?;
        let header = entry.header();
        lines.push(format!(
            "{} {:?} {:o} {}:{} {}\n",
            entry.path()?.display(),
            header.entry_type(),
            header.mode()?,
            header.uid()?,
            header.gid()?,
            header.size()?
        ));
    }
    lines.sort();
    Ok(lines.concat())
}
