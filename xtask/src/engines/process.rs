//! Processes by identity, never by number alone: a pid comes back, a start time does not.

use std::{
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use serde::{Deserialize, Serialize};

use crate::poll;

/// One process of one boot of one machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(super) pid: u32,
    /// In clock ticks since boot: field 22 of `/proc/<pid>/stat`, see proc_pid_stat(5).
    start_time: u64,
    boot_id: String,
}

impl Identity {
    /// Who has the number `pid` now; `None` when nobody has, or only a zombie.
    pub(super) fn of(pid: u32) -> Result<Option<Identity>> {
        let path = format!("/proc/{pid}/stat");
        let stat = match fs::read_to_string(&path) {
            Err(error) if is_gone(&error) => return Ok(None),
            read => read.with_context(|| format!("cannot read {path}"))?,
        };
        match start_time(&stat).with_context(|| format!("cannot understand {path}"))? {
            Some(start_time) => Ok(Some(Identity { pid, start_time, boot_id: boot_id()? })),
            None => Ok(None),
        }
    }

    /// Of the process that asks.
    pub(super) fn own() -> Result<Identity> {
        Identity::of(std::process::id())?.context("this process is not in /proc")
    }

    pub(super) fn is_alive(&self) -> Result<bool> {
        Ok(Identity::of(self.pid)?.as_ref() == Some(self))
    }

    /// A handle that means this very process, as long as it is alive.
    fn handle(&self) -> Result<Option<OwnedFd>> {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
        let handle = match pidfd_open(pid, PidfdFlags::empty()) {
            Err(Errno::SRCH) => return Ok(None),
            opened => opened.with_context(|| format!("cannot open process {}", self.pid))?,
        };
        // The number may have changed hands before the handle was opened, not after.
        Ok(self.is_alive()?.then_some(handle))
    }
}

/// Asks the process to end, and makes it end when it has not done so within `grace`. It is gone on return.
///
/// # Errors
/// When it may not be signalled, or does not even end then.
pub(crate) fn end(process: &Identity, grace: Duration) -> Result<()> {
    const LAST: Duration = Duration::from_secs(10);
    let Some(handle) = process.handle()? else { return Ok(()) };
    for (signal, patience) in [(Signal::TERM, grace), (Signal::KILL, LAST)] {
        if patience.is_zero() {
            continue;
        }
        match pidfd_send_signal(&handle, signal) {
            Err(Errno::SRCH) => return Ok(()),
            sent => sent.with_context(|| format!("cannot signal process {}", process.pid))?,
        }
        if poll::is_over(&handle, patience)? {
            return Ok(());
        }
    }
    anyhow::bail!("process {} does not end, not even when it is killed", process.pid)
}

/// The processes that run one of `programs` (by file name) from beneath `home`, and were given a path beneath one of
/// `dirs`: containerd and its shims outlive a dockerd that was killed, and nothing else tells whose they are.
pub(crate) fn running_from(home: &Path, programs: &[&str], dirs: &[&Path]) -> Result<Vec<Identity>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("cannot list /proc")? {
        let entry = entry.context("cannot list /proc")?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // Whoever ends or becomes a zombie meanwhile, or is a thread of the kernel, has nothing to read.
        let Ok(program) = fs::read_link(entry.path().join("exe")) else { continue };
        let Ok(arguments) = fs::read(entry.path().join("cmdline")) else { continue };
        let is_ours =
            program.starts_with(home) && program_name(&program).is_some_and(|name| programs.contains(&name));
        if is_ours
            && is_given_path_beneath(&arguments, dirs)
            && let Some(identity) = Identity::of(pid)?
        {
            found.push(identity);
        }
    }
    Ok(found)
}

/// The kernel marks a program whose file was replaced.
fn program_name(program: &Path) -> Option<&str> {
    program.file_name()?.to_str().map(|name| name.trim_end_matches(" (deleted)"))
}

/// `arguments` as in `/proc/<pid>/cmdline`.
fn is_given_path_beneath(arguments: &[u8], dirs: &[&Path]) -> bool {
    let is_beneath = |argument: &str| {
        let path = PathBuf::from(argument.trim_start_matches("unix://"));
        dirs.iter().any(|dir| path.starts_with(dir))
    };
    arguments
        .split(|byte| *byte == 0)
        .filter_map(|argument| std::str::from_utf8(argument).ok())
        .any(is_beneath)
}

/// `None` for what has ended but was not waited for.
fn start_time(stat: &str) -> Result<Option<u64>> {
    // The second field is a file name in parentheses and may hold anything, also parentheses.
    let (_, rest) = stat.rsplit_once(')').context("there is no program name")?;
    let fields: Vec<_> = rest.split_ascii_whitespace().collect();
    let (Some(state), Some(start_time)) = (fields.first(), fields.get(19)) else {
        anyhow::bail!("there are only {} fields", fields.len() + 2)
    };
    if ["Z", "X"].contains(state) {
        return Ok(None);
    }
    start_time.parse().map(Some).with_context(|| format!("the start time is `{start_time}`"))
}

fn boot_id() -> Result<String> {
    let path = "/proc/sys/kernel/random/boot_id";
    Ok(fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?.trim().to_owned())
}

/// A process may end between open and read.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(Errno::SRCH.raw_os_error())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn start_time_is_field_22_also_behind_odd_names() {
        let stat = "42 (a ) Z (b) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 777 9 10\n";
        assert_eq!(start_time(stat).unwrap(), Some(777));
    }

    #[test]
    fn a_zombie_is_nobody() {
        let stat = "42 (sh) Z 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 777 9 10\n";
        assert_eq!(start_time(stat).unwrap(), None);
    }

    #[test]
    fn what_is_cut_off_is_an_error() {
        assert!(start_time("42 (sh) S 1 42").is_err());
        assert!(start_time("").is_err());
    }

    #[test]
    fn paths_are_compared_by_component() {
        let dirs = [Path::new("/run/a")];
        assert!(is_given_path_beneath(b"containerd\0--config\0/run/a/exec/containerd.toml\0", &dirs));
        assert!(is_given_path_beneath(b"docker\0-H\0unix:///run/a/docker.sock\0", &dirs));
        assert!(!is_given_path_beneath(b"containerd\0--config\0/run/ab/exec/containerd.toml\0", &dirs));
    }

    #[test]
    fn another_process_with_the_same_number_is_left_alone() {
        let mut child = Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let alive = Identity::of(child.id()).unwrap().unwrap();
        let dead = Identity { start_time: alive.start_time - 1, ..alive.clone() };
        end(&dead, Duration::from_secs(1)).unwrap();
        assert!(alive.is_alive().unwrap());
        end(&alive, Duration::from_secs(10)).unwrap();
        assert!(!alive.is_alive().unwrap());
        child.wait().unwrap();
    }
}
