//! What an image consists of.

use anyhow::{Result, ensure};
use xtask::build::Build;
use xtask::client::Client;
use xtask::command;

/// The digests of the layers that a build makes, uncompressed, as the engine lists them: equal where all files are equal,
/// their times included.
///
/// # Errors
/// When the build fails.
pub fn layers(client: &Client, build: Build) -> Result<String> {
    const NAME: &str = "local/layers:latest";
    let outcome = build.argument("--provenance=false").argument(&format!("--tag={NAME}")).run()?;
    ensure!(outcome.succeeded(), "{}", outcome.output);
    command::output(client.docker().args(["image", "inspect", "--format={{json .RootFS.Layers}}", NAME]))
}
