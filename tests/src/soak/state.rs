//! What there is of an engine: its processes, their memory, its containers, what BuildKit keeps of steps that run.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::time::Duration;

use anyhow::{Context, Result};
use xtask::client::Client;
use xtask::engines::Engine;
use xtask::{command, poll};

/// An engine between two builds.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct State {
    /// The resident memory of all its processes, in KiB.
    pub(super) memory_kib: u64,
    /// The files that dockerd has open.
    pub(super) files: usize,
    /// The threads of dockerd.
    pub(super) threads: usize,
    /// How many there are of each, by name: processes, containers, directories of steps.
    things: BTreeMap<String, usize>,
}

impl State {
    /// Looks when what builds leave for a moment has gone, beyond what there was before, or after 20 seconds.
    pub(super) fn settled(engine: &Engine, client: &Client, before: Option<&Self>) -> Result<Self> {
        const PATIENCE: Duration = Duration::from_secs(20);
        let settled = poll::until(PATIENCE, || {
            let now = Self::now(engine, client)?;
            Ok(before.is_none_or(|before| now.beyond(before).is_empty()).then_some(now))
        })?;
        settled.map_or_else(|| Self::now(engine, client), Ok)
    }

    fn now(engine: &Engine, client: &Client) -> Result<Self> {
        let mut state = Self::default();
        for process in descendants(engine.pid())? {
            let Some(status) = Status::of(process)? else { continue };
            state.memory_kib += status.memory_kib;
            if process == engine.pid() {
                state.threads = status.threads;
                state.files = fs::read_dir(format!("/proc/{process}/fd")).context("dockerd is gone")?.count();
            }
            *state.things.entry(format!("process {}", status.name)).or_default() += 1;
        }
        let containers = command::output(client.docker().args(["ps", "--all", "--quiet"]))?;
        state.things.insert("container".to_owned(), containers.lines().count());
        // Where BuildKit keeps a directory for each step that runs (`executor/runcexecutor`).
        let steps = fs::read_dir(engine.data_root().join("buildkit/executor")).into_iter().flatten();
        let steps = steps.flatten().filter(|entry| entry.path().is_dir());
        state.things.insert("directory of a step".to_owned(), steps.count());
        Ok(state)
    }

    /// What there is more of than before.
    pub(super) fn beyond(&self, before: &Self) -> Vec<String> {
        let more = self.things.iter().filter_map(|(name, count)| {
            let more = count.saturating_sub(before.things.get(name).copied().unwrap_or_default());
            (more > 0).then(|| format!("{more} × {name}"))
        });
        more.collect()
    }
}

/// A process and all that it started, and they.
fn descendants(of: u32) -> Result<Vec<u32>> {
    let mut children = BTreeMap::<u32, Vec<u32>>::new();
    for entry in fs::read_dir("/proc").context("cannot list processes")? {
        let Some(process) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process may end while we look.
        if let Some(Status { parent, .. }) = Status::of(process)? {
            children.entry(parent).or_default().push(process);
        }
    }
    let mut all = vec![of];
    let mut at = 0;
    while let Some(process) = all.get(at) {
        all.extend(children.remove(process).unwrap_or_default());
        at += 1;
    }
    Ok(all)
}

/// See proc_pid_status(5).
struct Status {
    name: String,
    parent: u32,
    memory_kib: u64,
    threads: usize,
}

impl Status {
    /// None of a process that is gone.
    fn of(process: u32) -> Result<Option<Self>> {
        const NO_SUCH_PROCESS: i32 = 3;
        let text = match fs::read_to_string(format!("/proc/{process}/status")) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) if error.raw_os_error() == Some(NO_SUCH_PROCESS) => return Ok(None),
            read => read.context("cannot look at a process")?,
        };
        let of = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.split_whitespace().next());
        let number = |key| of(key).and_then(|number| number.parse::<u64>().ok()).unwrap_or_default();
        Ok(Some(Self {
            name: of("Name:").unwrap_or_default().to_owned(),
            parent: u32::try_from(number("PPid:"))?,
            memory_kib: number("VmRSS:"),
            threads: usize::try_from(number("Threads:"))?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_more_than_before_is_told() {
        let state = |things: &[(&str, usize)]| State {
            things: things.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
            ..State::default()
        };
        let before = state(&[("container", 1), ("process dockerd", 1)]);
        let after = state(&[("container", 3), ("process dockerd", 1), ("process runc", 1)]);
        assert_eq!(after.beyond(&before), ["2 × container", "1 × process runc"]);
        assert_eq!(before.beyond(&after), [""; 0]);
    }

    #[test]
    fn children_are_found() {
        let mut child = std::process::Command::new("sh").args(["-c", "sleep 60 & wait"]).spawn().unwrap();
        // Before it becomes a sleep, it is a shell as well.
        let found = poll::until(Duration::from_secs(10), || {
            let found = descendants(child.id())?;
            let statuses: Vec<_> = found.iter().map(|process| Status::of(*process)).collect::<Result<_>>()?;
            let names: Vec<_> = statuses.into_iter().flatten().map(|status| status.name).collect();
            Ok((names == ["sh", "sleep"]).then_some(found))
        });
        let found = found.unwrap().expect("a shell and its sleep");
        for process in found {
            command::run(std::process::Command::new("kill").arg(process.to_string())).unwrap();
        }
        child.wait().unwrap();
        assert!(Status::of(child.id()).unwrap().is_none());
    }
}
