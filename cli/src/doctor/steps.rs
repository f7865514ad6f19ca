//! Steps of builds that outlived what ran them.
//!
//! BuildKit in an engine runs a step in `<root>/buildkit/executor/<id>` by one `runc run … <id>`, which ends with the step
//! (`executor/runcexecutor`), with runc's usual directory for records. When this runc or the engine is killed, the step runs on, and
//! what was mounted for it stays mounted.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::process::proc;

/// Where runc keeps a record of each container, unless it is told otherwise.
const RECORDS: &str = "/run/runc";

/// Between two looks: a step that begins or ends has mounts and no runc for less than that.
const PAUSE: Duration = Duration::from_millis(500);

/// A step that nobody runs any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// What BuildKit calls its container.
    pub id: String,
    /// Its first process, where that still runs.
    pub pid: Option<u32>,
    /// What is still mounted for it.
    pub mounts: Vec<PathBuf>,
}

/// A step as it is found, by whatever is left of it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    pid: Option<u32>,
    mounts: Vec<PathBuf>,
}

/// What is of interest in runc's `state.json`.
#[derive(Deserialize)]
struct Record {
    id: String,
    init_process_pid: u32,
    init_process_start: u64,
    config: Config,
}

#[derive(Deserialize)]
struct Config {
    rootfs: PathBuf,
}

/// What is left of steps of the engine with this directory of data, as far as is seen from this process's namespaces.
///
/// # Errors
/// When this user may not look at runc's records.
pub fn left(root: &Path) -> io::Result<Vec<Left>> {
    let look = || -> io::Result<Vec<Left>> {
        let mounts = std::fs::read_to_string("/proc/self/mounts")?;
        let seen = seen(&root.join("buildkit/executor"), Path::new(RECORDS), &mounts)?;
        // Afterwards: who was started meanwhile is known by its runc.
        Ok(if seen.is_empty() { Vec::new() } else { without_runc(seen, &words()) })
    };
    let first = look()?;
    if first.is_empty() {
        return Ok(first);
    }
    std::thread::sleep(PAUSE);
    let again = look()?;
    Ok(again.into_iter().filter(|left| first.iter().any(|before| before.id == left.id)).collect())
}

/// All steps that have a process or a mount.
fn seen(executor: &Path, records: &Path, mounts: &str) -> io::Result<BTreeMap<String, Seen>> {
    let mut steps: BTreeMap<String, Seen> = BTreeMap::new();
    let of = |path: &Path| {
        let id = path.strip_prefix(executor).ok()?.iter().next()?;
        Some(id.to_str()?.to_owned())
    };
    // proc_pid_mounts(5): what is mounted, and where. An engine's directory with a blank in it is written otherwise, and not found.
    for point in mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(Path::new) {
        if let Some(id) = of(point) {
            steps.entry(id).or_default().mounts.push(point.into());
        }
    }
    let entries = match std::fs::read_dir(records) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(steps),
        entries => entries?,
    };
    for entry in entries {
        // What goes away meanwhile, or has no record yet, is somebody's who is at work.
        let Ok(text) = std::fs::read(entry?.path().join("state.json")) else { continue };
        let Ok(record) = serde_json::from_slice::<Record>(&text) else { continue };
        let is_its = of(&record.config.rootfs).is_some_and(|id| id == record.id);
        let runs = || {
            proc::stat(record.init_process_pid)
                .is_some_and(|stat| stat.start == record.init_process_start && !stat.has_ended)
        };
        if is_its && runs() {
            steps.entry(record.id).or_default().pid = Some(record.init_process_pid);
        }
    }
    Ok(steps)
}

/// Those that no process has in its command line: a `runc run` names its container.
fn without_runc(seen: BTreeMap<String, Seen>, words: &BTreeSet<String>) -> Vec<Left> {
    let left = seen.into_iter().filter(|(id, _)| !words.contains(id));
    left.map(|(id, Seen { pid, mounts })| Left { id, pid, mounts }).collect()
}

/// All words of all command lines.
fn words() -> BTreeSet<String> {
    proc::all().flat_map(proc::command_line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_left_when_its_runc_is_gone() {
        let place = tempfile::tempdir().unwrap();
        let (executor, records) = (Path::new("/data/buildkit/executor"), place.path());
        let us = std::process::id();
        let start = proc::stat(us).unwrap().start;
        let record = |id: &str, start: u64, rootfs: &str| {
            let record = serde_json::json!({
                "id": id, "init_process_pid": us, "init_process_start": start, "config": {"rootfs": rootfs},
            });
            std::fs::create_dir(records.join(id)).unwrap();
            std::fs::write(records.join(id).join("state.json"), record.to_string()).unwrap();
        };
        record("runs", start, "/data/buildkit/executor/runs/rootfs");
        record("run", start, "/data/buildkit/executor/run/rootfs");
        record("ended", start + 1, "/data/buildkit/executor/ended/rootfs");
        record("other-engine", start, "/elsewhere/buildkit/executor/other-engine/rootfs");
        std::fs::create_dir(records.join("begins")).unwrap();
        let mounts = "overlay /data/buildkit/executor/mounted/rootfs overlay rw 0 0\n\
            tmpfs /data/buildkit tmpfs rw 0 0\nproc /proc proc rw 0 0\n";
        let seen = seen(executor, records, mounts).unwrap();
        assert_eq!(seen.keys().collect::<Vec<_>>(), ["mounted", "run", "runs"]);
        let words = ["runc", "run", "--bundle"].map(String::from).into();
        let left = without_runc(seen, &words);
        assert_eq!(
            left,
            [
                Left {
                    id: "mounted".into(),
                    pid: None,
                    mounts: vec!["/data/buildkit/executor/mounted/rootfs".into()]
                },
                Left { id: "runs".into(), pid: Some(us), mounts: vec![] },
            ]
        );
        assert!(super::seen(executor, &records.join("nowhere"), "").unwrap().is_empty());
    }
}
