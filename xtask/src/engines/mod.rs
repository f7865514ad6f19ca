//! Real Docker engines of several versions, side by side, out of Debian packages and without touching the machine's own.
//!
//! ```no_run
//! use xtask::engines::{Kind, Options, start};
//!
//! # fn main() -> anyhow::Result<()> {
//! let engine = start(Kind::Docker28_5, Options::default())?;
//! assert!(engine.client().buildx().args(["build", "."]).status()?.success());
//! # Ok(())
//! # }
//! ```

mod apt;
mod cgroup;
mod fetch;
mod http;
mod kind;
mod list;
pub(crate) mod machine;
pub(crate) mod mount;
mod network;
mod owned;
mod place;
pub(crate) mod process;
mod runc;
mod start;
mod state;
mod stop;
mod suite;

use std::{path::PathBuf, process::Child};

use anyhow::{Context, Result, bail};

use crate::client::Client;

pub(crate) use self::start::link_buildx;
pub(crate) use self::{
    apt::{Source, machine_sources, of_debian},
    fetch::{fetch_suite, machine_suite},
    machine::{MMDEBSTRAP, SETPRIV, need},
    owned::spawn_for_life,
    place::{engines_dir, lock},
    suite::{ARM64, BOOKWORM, COMPOSE, CRANE, QEMU, REGISTRY, SKOPEO, Suite, TOOLS},
};
pub use self::{
    fetch::fetch,
    kind::{ImageStore, Kind},
    list::{Entry, list},
    start::{Lifetime, Options, start},
};
use self::{owned::Owned, state::Run};

/// Tells tests on engines that they are for later, when all others have passed.
pub const LATER: &str = "CI_BUILD_TEST_ENGINES_LATER";

/// A running engine. With [`Lifetime::Owned`], dropping it stops it and removes all it has made.
#[derive(Debug)]
pub struct Engine {
    run: Run,
    kind: Kind,
    version: String,
    client: Client,
    owned: Option<Owned>,
    child: Child,
    options: Options,
}

impl Engine {
    /// What it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its name among all that run, for [`stop`]: `docker-28.5-Ab3dEf`.
    pub fn name(&self) -> String {
        self.run.name()
    }

    /// The version as the engine itself tells it: `28.5.2+dfsg1`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Its socket, which this user alone can reach.
    pub fn socket(&self) -> PathBuf {
        self.run.socket()
    }

    /// The programs that talk to this engine.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// An empty directory, first in dockerd's `PATH`: a `runc` that is put there is run by each build step.
    pub fn wrappers(&self) -> PathBuf {
        start::wrappers(&self.run)
    }

    /// dockerd's data-root.
    pub fn data_root(&self) -> PathBuf {
        self.run.data_root()
    }

    /// What dockerd and its containerd write.
    pub fn log(&self) -> PathBuf {
        start::log(&self.run)
    }

    /// The name of the cgroup that its containers are in, also those of build steps and of frontends.
    pub fn cgroup(&self) -> String {
        self.run.cgroup()
    }

    /// dockerd's process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills dockerd, and nothing else: its containerd, shims and containers go on, as far as they can without it.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().context("cannot kill dockerd")?;
        self.child.wait().context("cannot wait for dockerd")?;
        Ok(())
    }

    /// Starts dockerd anew, over what the one before had. It answers on return.
    ///
    /// # Errors
    /// When it does not start, or somebody stopped the engine meanwhile.
    pub fn revive(&mut self) -> Result<()> {
        start::again(self)
    }

    /// Stops it now, whatever its lifetime, and tells what dropping it could only warn of.
    ///
    /// # Errors
    /// When something of it cannot be removed.
    pub fn stop(mut self) -> Result<()> {
        match self.owned.take() {
            Some(owned) => owned.stop()?,
            None => stop(&self.name())?,
        }
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Before the child is waited for. A detached one lives on.
        self.owned.take();
        // Nothing is to be done about an engine that somebody else stopped.
        let _ = self.child.try_wait();
    }
}

/// Downloads and unpacks all that tests run: engines, and what stands beside them.
///
/// # Errors
/// When one of them cannot be had; the others are, then.
pub fn fetch_all() -> Result<()> {
    let engines = Kind::ALL.map(fetch);
    let beside = [&REGISTRY, &COMPOSE, &QEMU, &ARM64].map(|suite| fetch_suite(suite).map(drop));
    engines.into_iter().chain(beside).collect()
}

/// Stops the engine called `name`, whoever started it, and removes all it has made.
///
/// # Errors
/// When there is none of that name, or when something of it cannot be removed.
pub fn stop(name: &str) -> Result<()> {
    let runs = place::runs_dir()?;
    let _lock = lock(&runs.join("lock"))?;
    let dir = state::run_dirs()?.into_iter().find(|dir| dir.file_name().is_some_and(|of_dir| of_dir == name));
    match dir {
        Some(dir) => stop::stop_run(&dir).with_context(|| format!("cannot stop {name}")),
        None => bail!("there is no running engine `{name}`\n  help: `cargo xtask engines list` names them"),
    }
}

/// Removes what engines left that died, or whose owner did. Each start does so as well.
///
/// # Errors
/// When the engines' directory cannot be read; what cannot be removed is only warned of.
pub fn clean_up() -> Result<()> {
    let runs = place::runs_dir()?;
    let _lock = lock(&runs.join("lock"))?;
    stop::clean_up()
}
