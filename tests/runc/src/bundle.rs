//! What runc is asked to start: the mounts of a bundle's `config.json` (OCI runtime specification, config.md).

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// One mount, in the order in which they are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    /// Where it is, in the container.
    pub(crate) destination: PathBuf,
    /// The directory or file of the host that is bound there. None for anything else: a tmpfs, an overlay.
    pub(crate) bound: Option<PathBuf>,
    /// Whether it can be written to.
    pub(crate) writable: bool,
}

/// The mounts of the bundle that a `create` or a `run` names. None for every other command, and for a bundle that cannot
/// be read: the real runc has better words for that.
pub(crate) fn of_arguments(arguments: &[OsString]) -> Option<Vec<Mount>> {
    let words: Vec<_> = arguments.iter().filter_map(|word| word.to_str()).collect();
    let command = words.iter().position(|word| ["create", "run"].contains(word))?;
    let mut bundle = Path::new(".");
    let mut rest = words[command + 1..].iter();
    while let Some(word) = rest.next() {
        match word.split_once('=') {
            Some(("--bundle" | "-b", dir)) => bundle = Path::new(dir),
            _ if ["--bundle", "-b"].contains(word) => bundle = Path::new(rest.next()?),
            _ => {}
        }
    }
    let config = fs::read(bundle.join("config.json")).ok()?;
    Some(mounts(&serde_json::from_slice(&config).ok()?))
}

fn mounts(config: &Value) -> Vec<Mount> {
    let mounts = config["mounts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mount = |mount: &Value| {
        let options: Vec<_> = mount["options"].as_array()?.iter().filter_map(Value::as_str).collect();
        let is_bound = options.iter().any(|option| ["bind", "rbind"].contains(option));
        Some(Mount {
            destination: mount["destination"].as_str()?.into(),
            bound: mount["source"].as_str().filter(|_| is_bound).map(PathBuf::from),
            writable: !options.contains(&"ro"),
        })
    };
    mounts.iter().filter_map(mount).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_starts_a_container_has_mounts() {
        let dir = tempfile::tempdir().unwrap();
        let config = r#"{"mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/cache", "type": "bind", "source": "/var/c", "options": ["rbind"]},
            {"destination": "/seed", "type": "bind", "source": "/var/s", "options": ["rbind", "ro"]},
            {"destination": "/cache/t", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid"]}]}"#;
        fs::write(dir.path().join("config.json"), config).unwrap();
        let bundle = dir.path().to_str().unwrap();
        let mounts = |words: &[&str]| of_arguments(&words.iter().map(OsString::from).collect::<Vec<_>>());
        let mount = |destination: &str, bound: Option<&str>, writable| Mount {
            destination: destination.into(),
            bound: bound.map(Into::into),
            writable,
        };
        let expected = Some(vec![
            mount("/cache", Some("/var/c"), true),
            mount("/seed", Some("/var/s"), false),
            mount("/cache/t", None, true),
        ]);
        assert_eq!(mounts(&["--log", "l", "run", "--bundle", bundle, "name"]), expected);
        assert_eq!(mounts(&["create", &format!("--bundle={bundle}"), "name"]), expected);
        for other in [&["features"][..], &["--version"], &["delete", "--force", "name"], &["state", "name"]] {
            assert_eq!(mounts(other), None);
        }
    }
}
