//! `cargo xtask differential`: the differential suite, a program of the crate that holds the engine tests.

use std::ffi::OsString;

use anyhow::{Context, Result, bail};
use xtask::artifacts::cargo;

/// What it understands, `--help` tells.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let status = cargo()
        .args(["run", "--quiet", "--package", "ci-build-tests", "--bin", "differential", "--"])
        .args(&arguments.arguments)
        .status()
        .context("cannot run cargo")?;
    if !status.success() {
        bail!("the differential suite ended, {status}");
    }
    Ok(())
}
