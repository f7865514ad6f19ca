//! `cargo xtask corpus DIR`: the reader against upstream's verdicts on the real Dockerfiles that testdata/corpus.tsv names.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use xtask::artifacts::cargo;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A directory that holds the files, each under its SHA-256
    dir: PathBuf,
}

pub(crate) fn run(Arguments { dir }: &Arguments) -> Result<()> {
    let dir = dir.canonicalize().with_context(|| format!("cannot find {}", dir.display()))?;
    let status = cargo()
        .args(["test", "--release", "--package", "ci-build-frontend", "--no-default-features"])
        .args(["--test", "corpus", "--", "--ignored", "--nocapture"])
        .env("CI_BUILD_CORPUS", dir)
        .status()
        .context("cannot run cargo")?;
    if !status.success() {
        bail!("not every file is read as upstream reads it");
    }
    Ok(())
}
