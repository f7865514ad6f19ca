//! The host command, with a state of its own.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use xtask::build::Build;
use xtask::client::Client;
use xtask::{artifacts, command, poll};

use crate::Subject;

/// What the command keeps on a host, for one engine. It goes with this value.
#[derive(Debug)]
pub struct Host {
    client: Client,
    program: std::path::PathBuf,
    frontend: std::path::PathBuf,
    state: TempDir,
}

impl Host {
    /// A host on which nobody did anything yet.
    ///
    /// # Errors
    /// When the frontend cannot be built, or there is no room for the state.
    pub fn new(subject: &Subject) -> Result<Self> {
        Ok(Self {
            client: subject.client.clone(),
            program: subject.command.clone(),
            frontend: artifacts::frontend()?,
            state: TempDir::new().context("cannot create a directory")?,
        })
    }

    /// `ci-build` with these words.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = self.set_up(Command::new(&self.program));
        command.args(words);
        command
    }

    /// A shell, the leader of a session of its own, that finds `$CI_BUILD`.
    #[must_use]
    pub fn session(&self, script: &str) -> Command {
        let mut command = self.set_up(Command::new("setsid"));
        command.args(["--wait", "sh", "-c", script]);
        command
    }

    /// Any program that calls `$CI_BUILD`.
    #[must_use]
    pub fn set_up(&self, command: Command) -> Command {
        let mut command = self.client.set_up(command);
        command
            .env("CI_BUILD", &self.program)
            .env("CI_BUILD_STATE_DIR", self.state.path())
            .env("CI_BUILD_FRONTEND_BINARY", &self.frontend);
        for variable in ["POLICY", "SCOPE", "STORE", "WAIT", "TIMEOUT", "FRONTEND", "FRONTEND_NAME"] {
            command.env_remove(format!("CI_BUILD_{variable}"));
        }
        command
    }

    /// `ci-build build` of a Dockerfile.
    #[must_use]
    pub fn build(&self, dockerfile: &Path) -> Build {
        Build::by(self.command(&["build"]), dockerfile)
    }

    /// Who holds locks, as `ci-build status` tells it: the commands.
    ///
    /// # Errors
    /// When it does not tell.
    pub fn holders(&self) -> Result<Vec<String>> {
        self.told("holders", "command")
    }

    /// Which images are leased: their names, but that of the frontend, which every build leases.
    ///
    /// # Errors
    /// When `ci-build status` does not tell.
    pub fn leases(&self) -> Result<Vec<String>> {
        let mut images = self.told("leases", "image")?;
        images.retain(|image| !image.starts_with(ci_build::image::FRONTEND));
        Ok(images)
    }

    fn told(&self, what: &str, field: &str) -> Result<Vec<String>> {
        let document = command::output(&mut self.command(&["status", "--format", "json"]))?;
        let document: Value = serde_json::from_str(&document).context("ci-build status prints no JSON")?;
        let stores = document["stores"].as_array().into_iter().flatten();
        let entries = stores.flat_map(|store| store[what].as_array().into_iter().flatten());
        Ok(entries.filter_map(|entry| entry[field].as_str().map(str::to_owned)).collect())
    }

    /// The files that builds have left: those in all `scratch` directories.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn scratch(&self) -> Result<Vec<String>> {
        let mut left = Vec::new();
        let stores = self.state.path().join("stores");
        if !stores.exists() {
            return Ok(left);
        }
        for store in fs::read_dir(stores)? {
            let Ok(entries) = fs::read_dir(store?.path().join("scratch")) else { continue };
            let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
            left.extend(names.collect::<Result<Vec<_>>>()?.into_iter().filter(|name| !name.starts_with('.')));
        }
        Ok(left)
    }

    /// Waits until nobody has the lock: takes it alone, for a moment.
    ///
    /// # Errors
    /// When somebody has it for longer than this.
    pub fn quiet(&self, patience: Duration) -> Result<()> {
        let wait = format!("{}ms", patience.as_millis());
        let taken =
            command::succeeds(&mut self.command(&["lock", "--exclusive", "--wait", &wait, "--", "true"]))?;
        ensure!(taken, "somebody still has the lock: {:?}", self.holders()?);
        Ok(())
    }
}

/// How long a step sleeps that is to be found among all processes: unique, as the name of a directory of ours is, so that no other
/// build's is taken for it.
#[must_use]
pub fn mark(dir: &Path) -> String {
    let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    format!("61{}", name.bytes().map(|byte| char::from(b'0' + byte % 10)).collect::<String>())
}

/// Waits until no process has this word in its command line.
///
/// # Errors
/// When one has it for longer than this.
pub fn no_process(word: &str, patience: Duration) -> Result<()> {
    let gone = poll::until(patience, || Ok(processes(word)?.is_empty().then_some(())))?;
    ensure!(gone.is_some(), "still there: {:?}", processes(word)?);
    Ok(())
}

/// The command lines with this word, of processes that still run.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn processes(word: &str) -> Result<Vec<String>> {
    Ok(processes_by_pid(word)?.into_iter().map(|(_, line)| line).collect())
}

/// As [`processes`], each with its pid.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn processes_by_pid(word: &str) -> Result<Vec<(i32, String)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process may end while we look.
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(word) {
            found.push((pid, line));
        }
    }
    Ok(found)
}
