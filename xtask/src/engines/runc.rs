//! What runc remembers of containers it was killed in the middle of.
//!
//! BuildKit runs it with its default root, which all engines of the machine share.

use std::{fs, io, path::Path};

use anyhow::{Context, Result};

const ROOT: &str = "/run/runc";

/// Removes the records of containers beneath the cgroup `name`, which must be empty by now.
///
/// # Errors
/// When a record cannot be removed.
pub(super) fn forget(name: &str) -> Result<()> {
    let entries = match fs::read_dir(ROOT) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.with_context(|| format!("cannot list {ROOT}"))?,
    };
    for entry in entries {
        let dir = entry.with_context(|| format!("cannot list {ROOT}"))?.path();
        // What goes away meanwhile, or has no record in it, is somebody else's.
        let Ok(record) = fs::read(dir.join("state.json")) else { continue };
        if is_beneath(&record, name) {
            remove(&dir)?;
        }
    }
    Ok(())
}

fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.with_context(|| format!("cannot remove {}", dir.display())),
    }
}

/// Whether a container's `state.json` names a cgroup beneath `name`, in whichever hierarchy.
fn is_beneath(record: &[u8], name: &str) -> bool {
    let record: serde_json::Value = serde_json::from_slice(record).unwrap_or_default();
    let paths = record["cgroup_paths"].as_object();
    let mut paths = paths.into_iter().flat_map(|paths| paths.values()).filter_map(|path| path.as_str());
    paths.any(|path| Path::new(path).iter().any(|component| component == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_belongs_to_the_cgroup_above_it() {
        let record = br#"{"id":"x","cgroup_paths":{"cpu":"/sys/fs/cgroup/cpu/ci-build-a/buildkit/x"}}"#;
        assert!(is_beneath(record, "ci-build-a"));
        assert!(!is_beneath(record, "ci-build"));
        assert!(!is_beneath(b"{}", "ci-build-a"));
        assert!(!is_beneath(b"{\"cgroup_paths\":", "ci-build-a"));
    }
}
