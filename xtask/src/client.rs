//! `docker` and `docker buildx`, talking to one engine.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use crate::{command, engines};

/// Where an engine is, and the programs that drive it: always the same ones, whatever the machine has.
#[derive(Clone, Debug)]
pub struct Client {
    /// `DOCKER_HOST`, or the name of a context.
    engine: Engine,
    config: PathBuf,
    tools: PathBuf,
    path: OsString,
}

/// How docker finds an engine.
#[derive(Clone, Debug)]
enum Engine {
    Host(String),
    Context(String),
}

impl Client {
    /// `config` is a `DOCKER_CONFIG` with buildx among its plugins, `tools` the directory of docker and buildx.
    pub(crate) fn new(host: String, config: PathBuf, tools: PathBuf) -> Result<Self> {
        let path = command::search_path(std::slice::from_ref(&tools))?;
        Ok(Self { engine: Engine::Host(host), config, tools, path })
    }

    /// The engine that a user of this machine has: that of `DOCKER_HOST`, else the one behind docker's usual socket.
    /// None where neither answers.
    ///
    /// # Errors
    /// When the programs cannot be fetched.
    pub fn reachable(config: &Path) -> Result<Option<Self>> {
        let host = env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
        let tools = engines::fetch_suite(&engines::TOOLS)?.bin();
        engines::link_buildx(config, &tools)?;
        let client = Self::new(host, config.to_owned(), tools)?;
        let answers =
            command::succeeds(client.docker().args(["version", "--format", "{{.Server.Version}}"]))?;
        Ok(answers.then_some(client))
    }

    /// The same programs, talking to the engine at another address: `tcp://127.0.0.1:2375`.
    #[must_use]
    pub fn at(&self, host: &str) -> Self {
        Self { engine: Engine::Host(host.to_owned()), ..self.clone() }
    }

    /// The same programs, talking to the engine that a context of theirs names.
    #[must_use]
    pub fn in_context(&self, name: &str) -> Self {
        Self { engine: Engine::Context(name.to_owned()), ..self.clone() }
    }

    /// The engine's address for `DOCKER_HOST`, `unix:///…`, or the name of its context.
    #[must_use]
    pub fn host(&self) -> &str {
        match &self.engine {
            Engine::Host(host) => host,
            Engine::Context(name) => name,
        }
    }

    /// `docker`.
    #[must_use]
    pub fn docker(&self) -> Command {
        self.set_up(Command::new(self.tools.join("docker")))
    }

    /// `docker buildx` without the detour over `docker`, so that a signal reaches it.
    #[must_use]
    pub fn buildx(&self) -> Command {
        self.set_up(Command::new(self.tools.join("docker-buildx")))
    }

    /// The directory of docker and buildx.
    #[must_use]
    pub fn tools(&self) -> &Path {
        &self.tools
    }

    /// The `DOCKER_CONFIG`, with buildx among its plugins.
    #[must_use]
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Any program that calls docker or finds the engine through the environment.
    #[must_use]
    pub fn set_up(&self, mut command: Command) -> Command {
        for variable in [
            "DOCKER_HOST",
            "DOCKER_CONTEXT",
            "DOCKER_TLS",
            "DOCKER_TLS_VERIFY",
            "DOCKER_CERT_PATH",
            "BUILDX_BUILDER",
        ] {
            command.env_remove(variable);
        }
        match &self.engine {
            Engine::Host(host) => command.env("DOCKER_HOST", host),
            Engine::Context(name) => command.env("DOCKER_CONTEXT", name),
        };
        command.env("DOCKER_CONFIG", &self.config).env("DOCKER_BUILDKIT", "1").env("PATH", &self.path);
        command
    }
}
