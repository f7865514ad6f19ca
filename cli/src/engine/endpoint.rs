//! Which engine is meant, decided as docker's own client decides it: `DOCKER_HOST`, else the context that
//! `DOCKER_CONTEXT` or the client's configuration names, else the default socket.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::docker_config::{DockerConfig, DockerConfigError};
use crate::error::{Blame, Explain};
use crate::image::Digest;

const DEFAULT: &str = "unix:///var/run/docker.sock";

/// The address of an engine, such as `unix:///var/run/docker.sock`, and who said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The address, with its scheme.
    pub address: String,
    origin: Origin,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    Host,
    Context(String),
    Default,
    Record,
}

/// Why it is not known which engine is meant.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// Docker's configuration is unreadable.
    #[error(transparent)]
    Configuration(#[from] DockerConfigError),
    /// The engine is to be spoken to over TLS.
    #[error("{asked} asks for TLS to '{address}', which ci-build does not speak to an engine")]
    Tls {
        /// Who said so.
        asked: String,
        /// The engine's address.
        address: String,
    },
    /// The context has no address of an engine.
    #[error("docker's context '{0}' names no engine")]
    NoEngine(String),
}

impl Explain for EndpointError {
    fn blame(&self) -> Blame {
        Blame::Input
    }
    fn help(&self) -> Vec<String> {
        match self {
            Self::Configuration(error) => error.help(),
            Self::Tls { .. } => {
                vec!["`ci-build frontend save - | docker load` leaves the connection to docker".into()]
            }
            Self::NoEngine(_) => vec![
                "`docker context ls` shows the contexts, DOCKER_CONTEXT chooses one".into(),
                "or name the engine with DOCKER_HOST, such as unix:///var/run/docker.sock".into(),
            ],
        }
    }
}

impl Endpoint {
    /// The engine that this process's environment means.
    ///
    /// # Errors
    /// When docker's configuration is unreadable, or its context unknown.
    pub fn of_this_process() -> Result<Self, EndpointError> {
        Self::of(|name| std::env::var_os(name))
    }

    /// The engine at an address that was written down.
    #[must_use]
    pub fn at(address: String) -> Self {
        Self { address, origin: Origin::Record }
    }

    fn of(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, EndpointError> {
        let set = |name| {
            variable(name).filter(|value| !value.is_empty()).map(|value| value.to_string_lossy().into_owned())
        };
        if let Some(address) = set("DOCKER_HOST") {
            let tls = !address.starts_with("unix://") && set("DOCKER_TLS_VERIFY").is_some();
            return if tls {
                Err(EndpointError::Tls { asked: "DOCKER_TLS_VERIFY".into(), address })
            } else {
                Ok(Self { address, origin: Origin::Host })
            };
        }
        let config = DockerConfig::of(&variable);
        let context = match set("DOCKER_CONTEXT") {
            Some(context) => Some(context),
            None => config.string("config.json", "/currentContext")?,
        };
        match context.filter(|context| !matches!(context.as_str(), "" | "default")) {
            Some(context) => of_context(&config, context),
            None => Ok(Self { address: DEFAULT.into(), origin: Origin::Default }),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, origin } = self;
        match origin {
            Origin::Host => write!(f, "{address} (from DOCKER_HOST)"),
            Origin::Context(name) => write!(f, "{address} (from docker's context '{name}')"),
            Origin::Record => write!(f, "{address} (from the journal)"),
            Origin::Default => write!(f, "{address} (the default)"),
        }
    }
}

/// A context's files are named by the digest of the context's name (docker/cli, cli/context/store).
fn of_context(config: &DockerConfig, context: String) -> Result<Endpoint, EndpointError> {
    match config.string(context_file(&context), "/Endpoints/docker/Host")? {
        Some(address) if config.has(tls_of(&context)) && !address.starts_with("unix://") => {
            Err(EndpointError::Tls { asked: format!("docker's context '{context}'"), address })
        }
        Some(address) if !address.is_empty() => Ok(Endpoint { address, origin: Origin::Context(context) }),
        _ => Err(EndpointError::NoEngine(context)),
    }
}

fn context_file(context: &str) -> PathBuf {
    Path::new("contexts/meta").join(Digest::of(context.as_bytes()).hex()).join("meta.json")
}

/// Where the certificates for its engine are, if it has any.
fn tls_of(context: &str) -> PathBuf {
    Path::new("contexts/tls").join(Digest::of(context.as_bytes()).hex()).join("docker")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &Path)]) -> Result<String, String> {
        let variable =
            |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_os_str().to_owned());
        Endpoint::of(variable).map(|endpoint| endpoint.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_host_comes_before_the_context_and_that_before_the_default() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path();
        // What `docker context create remote --docker host=…` writes.
        let meta = config.join(context_file("remote"));
        std::fs::create_dir_all(meta.parent().unwrap()).unwrap();
        std::fs::write(meta, r#"{"Endpoints":{"docker":{"Host":"unix:///run/remote.sock"}}}"#).unwrap();
        let [host, remote, unknown] = ["unix:///run/host.sock", "remote", "unknown"].map(Path::new);

        assert_eq!(of(&[]).unwrap(), "unix:///var/run/docker.sock (the default)");
        assert_eq!(of(&[("DOCKER_CONFIG", config)]).unwrap(), "unix:///var/run/docker.sock (the default)");
        std::fs::write(config.join("config.json"), r#"{"currentContext":"remote"}"#).unwrap();
        let by_context = "unix:///run/remote.sock (from docker's context 'remote')";
        assert_eq!(of(&[("DOCKER_CONFIG", config)]).unwrap(), by_context);
        assert_eq!(of(&[("DOCKER_CONFIG", config), ("DOCKER_CONTEXT", remote)]).unwrap(), by_context);
        assert_eq!(
            of(&[("DOCKER_CONFIG", config), ("DOCKER_CONTEXT", Path::new("default"))]).unwrap(),
            "unix:///var/run/docker.sock (the default)"
        );
        assert_eq!(
            of(&[("DOCKER_CONFIG", config), ("DOCKER_CONTEXT", unknown)]).unwrap_err(),
            "docker's context 'unknown' names no engine"
        );
        assert_eq!(
            of(&[("DOCKER_CONFIG", config), ("DOCKER_HOST", host)]).unwrap(),
            "unix:///run/host.sock (from DOCKER_HOST)"
        );
        // A context with certificates; those of a socket do not matter.
        std::fs::create_dir_all(config.join(tls_of("remote"))).unwrap();
        assert_eq!(of(&[("DOCKER_CONFIG", config)]).unwrap(), by_context);
        let meta = config.join(context_file("remote"));
        std::fs::write(meta, r#"{"Endpoints":{"docker":{"Host":"tcp://docker:2376"}}}"#).unwrap();
        assert_eq!(
            of(&[("DOCKER_CONFIG", config)]).unwrap_err(),
            "docker's context 'remote' asks for TLS to 'tcp://docker:2376', which ci-build does not speak to an engine"
        );
        let [tcp, one] = ["tcp://docker:2376", "1"].map(Path::new);
        assert_eq!(of(&[("DOCKER_HOST", tcp)]).unwrap(), "tcp://docker:2376 (from DOCKER_HOST)");
        assert!(of(&[("DOCKER_HOST", tcp), ("DOCKER_TLS_VERIFY", one)]).is_err());
        assert!(of(&[("DOCKER_HOST", host), ("DOCKER_TLS_VERIFY", one)]).is_ok());
    }
}
