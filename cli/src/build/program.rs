//! Where buildx is. It is started itself, not through `docker`, which at a terminal passes no SIGTERM on to it.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::docker_config::{DockerConfig, DockerConfigError};

/// Where docker looks for its plugins behind the directories of its configuration (docker's
/// `cli-plugins/manager/manager_unix.go`).
const DIRECTORIES: [&str; 4] = [
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
];

const NAME: &str = "docker-buildx";

/// The words that start buildx, a subcommand to follow: the plugin that docker would take, else docker itself, which
/// may know better.
///
/// # Errors
/// When docker's configuration is unreadable.
pub fn buildx(config: &DockerConfig) -> Result<Vec<OsString>, DockerConfigError> {
    let own = config.path("cli-plugins").into_iter();
    let further = config.strings("config.json", "/cliPluginsExtraDirs")?.into_iter().map(PathBuf::from);
    let usual = DIRECTORIES.into_iter().map(PathBuf::from);
    let mut places = own.chain(further).chain(usual).map(|directory| directory.join(NAME));
    Ok(match places.find(|place| place.is_file()) {
        Some(plugin) => vec![plugin.into()],
        None => vec!["docker".into(), "buildx".into()],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_plugin_that_docker_would_take() {
        let directory = tempfile::tempdir().unwrap();
        let [config, extra] = ["config", "extra"].map(|name| directory.path().join(name));
        std::fs::create_dir_all(config.join("cli-plugins")).unwrap();
        std::fs::create_dir_all(&extra).unwrap();
        let extra_dirs = format!(r#"{{"cliPluginsExtraDirs":[{extra:?}]}}"#);
        std::fs::write(config.join("config.json"), extra_dirs).unwrap();
        let of = || {
            let config = DockerConfig::of(|name| (name == "DOCKER_CONFIG").then(|| config.clone().into()));
            buildx(&config).unwrap()[0].clone()
        };
        std::fs::write(extra.join(NAME), "").unwrap();
        assert_eq!(of(), extra.join(NAME));
        std::fs::write(config.join("cli-plugins").join(NAME), "").unwrap();
        assert_eq!(of(), config.join("cli-plugins").join(NAME));
    }
}
