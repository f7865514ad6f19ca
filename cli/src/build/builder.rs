//! Which builder builds, and what kind it is.

use std::ffi::OsString;
use std::process::{Command, Stdio};

use crate::docker_config::DockerConfig;

/// What kind of builder it is (buildx's drivers), as far as it matters to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Driver {
    /// The engine's own BuildKit, which sees the engine's images.
    Docker,
    /// A BuildKit of its own, with a store of its own: `docker-container`, `kubernetes`, `remote`, or one that is not known.
    Other(String),
}

/// The kind of the builder. Where nobody has chosen one, neither by flag, environment nor `docker buildx use`, it is the
/// engine's own, and buildx, which needs a moment, is not asked.
pub fn driver(
    buildx: &[OsString],
    named: Option<&str>,
    config: &DockerConfig,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Driver {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let directory = set("BUILDX_CONFIG").map(Into::into).or_else(|| config.path("buildx"));
    // What `docker buildx use` writes (buildx's `store/store.go`).
    let used = || {
        let directory = directory?;
        let current = std::fs::read(directory.join("current")).ok()?;
        let current: serde_json::Value = serde_json::from_slice(&current).ok()?;
        let is_used = |field: &str| current[field].as_str().is_some_and(|name| !name.is_empty());
        let has_defaults =
            std::fs::read_dir(directory.join("defaults")).is_ok_and(|mut names| names.next().is_some());
        (is_used("Name") || has_defaults).then_some(())
    };
    if named.is_none() && set("BUILDX_BUILDER").is_none() && used().is_none() {
        return Driver::Docker;
    }
    match ask(buildx, named) {
        Some(driver) if driver == "docker" => Driver::Docker,
        Some(driver) => Driver::Other(driver),
        None => Driver::Other("unknown".to_owned()),
    }
}

/// Asks buildx, which does not start a builder for that. None where it does not say: the build itself will tell why.
fn ask(buildx: &[OsString], named: Option<&str>) -> Option<String> {
    let (program, words) = buildx.split_first()?;
    let mut inspect = Command::new(program);
    inspect.args(words).arg("inspect").args(named).stdin(Stdio::null()).stderr(Stdio::null());
    told(&String::from_utf8_lossy(&inspect.output().ok()?.stdout))
}

/// The driver in what `docker buildx inspect` prints.
fn told(text: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix("Driver:"))?;
    Some(line.trim().to_owned()).filter(|driver| !driver.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_driver_is_in_what_buildx_prints() {
        let text =
            "Name:          b\nDriver:        docker-container\nLast Activity: …\n\nNodes:\nName: b0\n";
        assert_eq!(told(text).unwrap(), "docker-container");
        assert_eq!(told("ERROR: no builder \"x\" found"), None);
    }

    #[test]
    fn buildx_is_asked_only_where_somebody_has_chosen() {
        let directory = tempfile::tempdir().unwrap();
        let config = DockerConfig::of(|_| Some(directory.path().into()));
        // Whoever is asked here says this.
        let buildx = ["echo", "Driver: remote\nx"].map(OsString::from);
        let of = |named, builder: Option<&str>| {
            let builder = builder.map(OsString::from);
            driver(&buildx, named, &config, |name| builder.clone().filter(|_| name == "BUILDX_BUILDER"))
        };
        let remote = Driver::Other("remote".into());
        assert_eq!(of(None, None), Driver::Docker);
        assert_eq!([of(Some("b"), None), of(None, Some("b"))], [remote.clone(), remote.clone()]);
        std::fs::create_dir(directory.path().join("buildx")).unwrap();
        let current = directory.path().join("buildx/current");
        std::fs::write(&current, r#"{"Key":"unix:///x","Name":"","Global":false}"#).unwrap();
        assert_eq!(of(None, None), Driver::Docker);
        std::fs::write(&current, r#"{"Key":"unix:///x","Name":"b","Global":false}"#).unwrap();
        assert_eq!(of(None, None), remote);
    }
}
