//! An engine under test.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use xtask::build::Build;
use xtask::client::Client;
use xtask::engines::{self, Engine, Kind, Options};
use xtask::{artifacts, images, workspace};

/// A running engine that has the small base image and the frontend's image. It is stopped when this is dropped.
#[derive(Debug)]
pub struct Subject {
    /// The engine.
    pub engine: Engine,
    /// What talks to it.
    pub client: Client,
    /// The name of the frontend's image in its store.
    pub frontend: String,
    /// The host command.
    pub command: PathBuf,
}

impl Subject {
    /// Whether this engine takes the trial of this number, where these engines share trials that would take each of them too
    /// long.
    #[must_use]
    pub fn takes(&self, number: usize, among: &[Kind]) -> bool {
        let place = among.iter().position(|kind| *kind == self.engine.kind());
        place.is_some_and(|place| place == number % among.len())
    }

    /// Starts an engine and fills it.
    ///
    /// # Errors
    /// When something of it cannot be built, fetched, started or made. An engine that does not start is a failure.
    pub fn start(kind: Kind) -> Result<Self> {
        let engine = engines::start(kind, Options::default())?;
        let client = engine.client().clone();
        images::busybox(&client)?;
        let command = artifacts::command()?;
        let frontend = artifacts::install(&client)?;
        Ok(Self { engine, client, frontend, command })
    }

    /// Starts another engine that has the base image of `first`, by the same digest, and the frontend, and nothing else.
    ///
    /// # Errors
    /// As [`Subject::start`].
    pub fn beside(kind: Kind, first: &Client) -> Result<Self> {
        let engine = engines::start(kind, Options::default())?;
        let client = engine.client().clone();
        images::copy(first, &client, images::BUSYBOX)?;
        let frontend = artifacts::install(&client)?;
        Ok(Self { engine, client, frontend, command: artifacts::command()? })
    }

    /// The processes of frontends that the engine runs, by number.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn frontends(&self) -> Result<Vec<u32>> {
        let cgroup = format!("/{}/", self.engine.cgroup());
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").context("cannot list processes")? {
            let entry = entry?;
            let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // A process may end while we look.
            let read = |file: &str| fs::read(entry.path().join(file)).unwrap_or_default();
            let is_its = || String::from_utf8_lossy(&read("cgroup")).contains(&cgroup);
            if read("cmdline").starts_with(b"/ci-build-frontend\0") && is_its() {
                found.push(process);
            }
        }
        Ok(found)
    }

    /// Upstream's build of a Dockerfile of testdata: `SharedCacheRace/apt`.
    #[must_use]
    pub fn upstream(&self, name: &str) -> Build {
        Build::of(&self.client, &dockerfile(name))
    }

    /// Our build of a Dockerfile of testdata.
    #[must_use]
    pub fn ours(&self, name: &str) -> Build {
        self.upstream(name).through(&self.frontend)
    }
}

/// The path of a Dockerfile of testdata: `SharedCacheRace/apt`.
#[must_use]
pub fn dockerfile(name: &str) -> PathBuf {
    workspace::root().join("testdata/dockerfiles").join(name).with_extension("Dockerfile")
}
