//! Programs that the machine itself must have, from its own packages.

use std::{env, process::Command, time::Duration};

use anyhow::{Context, Result, bail};

use crate::{command, poll};

/// A program, and the Debian package that holds it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tool {
    pub(crate) program: &'static str,
    package: &'static str,
}

pub(crate) const ANALYZE: Tool = Tool { program: "systemd-analyze", package: "systemd" };
pub(crate) const FISH: Tool = Tool { program: "fish", package: "fish" };
pub(crate) const IP: Tool = Tool { program: "ip", package: "iproute2" };
pub(crate) const IPTABLES: Tool = Tool { program: "iptables", package: "iptables" };
pub(crate) const MAN: Tool = Tool { program: "man", package: "man-db" };
pub(crate) const MMDEBSTRAP: Tool = Tool { program: "mmdebstrap", package: "mmdebstrap" };
pub(crate) const PATCHELF: Tool = Tool { program: "patchelf", package: "patchelf" };
pub(crate) const SETPRIV: Tool = Tool { program: "setpriv", package: "util-linux" };
pub(crate) const ZSH: Tool = Tool { program: "zsh", package: "zsh" };

/// Installs, with one line about it, what is missing of `tools`.
///
/// # Errors
/// When apt fails, which it does for everybody but root.
pub(crate) fn need(tools: &[Tool]) -> Result<()> {
    let missing: Vec<_> =
        tools.iter().filter(|tool| !is_there(tool.program)).map(|tool| tool.package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("installing {} from the machine's own packages", missing.join(", "));
    apt_get(&["update"])?;
    apt_get(&[&["install", "--yes", "--no-install-recommends"], &missing[..]].concat())
}

/// Waits while somebody else's apt holds one of its locks: it has no switch that waits for that of the lists.
fn apt_get(arguments: &[&str]) -> Result<()> {
    const PATIENCE: Duration = Duration::from_secs(300);
    let done = poll::until(PATIENCE, || {
        let mut apt = Command::new("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C").arg("-qq").args(arguments);
        match command::run(&mut apt) {
            Err(error) if error.to_string().contains("Could not get lock") => Ok(None),
            ended => ended.map(Some),
        }
    })?;
    done.with_context(|| format!("somebody else's apt held its lock for {} s", PATIENCE.as_secs()))
}

/// Bridges, mounts and cgroups are root's.
///
/// # Errors
/// When this process is somebody else's.
pub(super) fn be_root() -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("only root can start engines\n  help: run it as root, in a privileged container if need be");
    }
    Ok(())
}

fn is_there(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|dir| dir.join(program).is_file())
}
