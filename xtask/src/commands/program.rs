//! `cargo xtask lab`, `lab-prune`, `differential`, `soak`, `storm`, `copies`, `pulls`, `recovery` and `sweep`: the program of the crate
//! that holds the engine tests.

use std::ffi::OsString;

use anyhow::{Context, Result, bail};
use xtask::artifacts::cargo;

/// What the program understands, `--help` tells.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Runs the laboratory of this name; `called` is what people call it.
pub(crate) fn run(name: &str, called: &str, Arguments { arguments }: &Arguments) -> Result<()> {
    let status = cargo()
        .args(["run", "--quiet", "--package", "ci-build-tests", "--bin", "laboratories", "--", name])
        .args(arguments)
        .status()
        .context("cannot run cargo")?;
    if !status.success() {
        bail!("{called} ended, {status}");
    }
    Ok(())
}
