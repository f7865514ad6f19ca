//! `docker compose`, out of Debian's package.

use std::{fs, os::unix::fs::symlink};

use anyhow::{Context, Result};

use crate::{
    client::Client,
    engines::{self, COMPOSE},
};

/// Gives a client the plugin `compose`.
///
/// # Errors
/// When it cannot be fetched, or the client's plugins cannot be written.
pub fn install(client: &Client) -> Result<()> {
    let program = engines::fetch_suite(&COMPOSE)?.bin().join("docker-compose");
    fs::metadata(&program).context("the package docker-compose holds no plugin of docker")?;
    let plugin = client.config().join("cli-plugins/docker-compose");
    symlink(program, plugin).context("cannot link docker-compose")
}
