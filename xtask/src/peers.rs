//! Programs of others that do what we do, out of Debian's packages: to be measured beside.

use std::process::Command;

use anyhow::Result;

use crate::engines::{self, CRANE, SKOPEO};

/// skopeo, fetched if need be.
///
/// # Errors
/// When it cannot be fetched.
pub fn skopeo() -> Result<Command> {
    let bin = engines::fetch_suite(&SKOPEO)?.bin();
    let libraries = format!("../root/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let mut command = Command::new(bin.join("skopeo"));
    command.env("LD_LIBRARY_PATH", bin.join(libraries));
    Ok(command)
}

/// crane, fetched if need be.
///
/// # Errors
/// When it cannot be fetched.
pub fn crane() -> Result<Command> {
    Ok(Command::new(engines::fetch_suite(&CRANE)?.bin().join("crane")))
}
