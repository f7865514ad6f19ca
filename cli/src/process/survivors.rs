//! Processes that outlived what watched over them: when a container's shim is killed, the engine takes the container for
//! ended, and its processes run on. They are known by their cgroup, which carries the container's id.

use std::collections::{HashMap, HashSet};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::task::spawn_blocking;

use super::proc;

/// A container's id is so long, of hexadecimal digits: no other cgroup is called like that.
const ID: usize = 64;

/// A killed process is gone within this time, unless the kernel has it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who forks faster than we look is looked at so often.
const ROUNDS: usize = 10;

/// A process in a container's cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Inmate {
    pid: u32,
    /// When it started: a pid alone may be another's by now.
    start: u64,
}

/// Who runs in containers.
#[derive(Debug, Default)]
pub(crate) struct Inmates {
    of: HashMap<String, Vec<Inmate>>,
}

impl Inmates {
    /// Looks once at all processes that can be seen from here, for the containers with these ids.
    pub(crate) fn of<'a>(ids: impl IntoIterator<Item = &'a str>) -> Self {
        let ids: HashSet<&str> = ids.into_iter().filter(|id| is_id(id)).collect();
        let mut of: HashMap<String, Vec<Inmate>> = HashMap::new();
        if ids.is_empty() {
            return Self { of };
        }
        for pid in proc::all() {
            let Some(id) = container(pid).filter(|id| ids.contains(id.as_str())) else { continue };
            let Some(stat) = proc::stat(pid).filter(|stat| !stat.has_ended) else { continue };
            of.entry(id).or_default().push(Inmate { pid, start: stat.start });
        }
        Self { of }
    }

    /// Kills whoever still runs in this container, which is no more, and tells how many that were.
    pub(crate) async fn kill(&self, id: &str) -> usize {
        let mut killed = 0;
        let mut inmates = self.of.get(id).cloned().unwrap_or_default();
        for _ in 0..ROUNDS {
            let were_killed = join_all(inmates.iter().map(|inmate| inmate.kill(id))).await;
            let count = were_killed.into_iter().filter(|was_killed| *was_killed).count();
            if count == 0 {
                break;
            }
            killed += count;
            // And whoever it had started meanwhile.
            inmates = Self::of([id]).of.remove(id).unwrap_or_default();
        }
        killed
    }
}

impl Inmate {
    /// Whether it was there, and was killed.
    async fn kill(&self, id: &str) -> bool {
        let is_it = || {
            proc::stat(self.pid).is_some_and(|stat| stat.start == self.start && !stat.has_ended)
                && container(self.pid).as_deref() == Some(id)
        };
        let Some(handle) = proc::kill_if(self.pid, is_it) else { return false };
        // Should that fail: it ends without us too.
        let _ = spawn_blocking(move || ended(&handle)).await;
        true
    }
}

/// Waits until a killed process is gone, or for as long as it is waited for.
fn ended(handle: &OwnedFd) {
    let deadline = Instant::now() + PATIENCE;
    while let Some(rest) = deadline.checked_duration_since(Instant::now()) {
        let rest = Timespec::try_from(rest).ok();
        if poll(&mut [PollFd::new(handle, PollFlags::IN)], rest.as_ref()).is_ok_and(|ready| ready > 0) {
            break;
        }
    }
}

fn is_id(text: &str) -> bool {
    text.len() == ID && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The container that a process is in, by its cgroups.
fn container(pid: u32) -> Option<String> {
    container_in(&std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?)
}

/// `/proc/PID/cgroup` (cgroups(7)): `4:memory:/docker/ID`, or `0::/system.slice/docker-ID.scope`; and what a container
/// makes below its own.
fn container_in(cgroups: &str) -> Option<String> {
    let paths = cgroups.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    let parts = paths.flat_map(|path| path.split('/'));
    let plain = |part: &str| {
        let part = part.strip_suffix(".scope").map_or(part, |part| part.rsplit('-').next().unwrap_or(part));
        is_id(part).then(|| part.to_owned())
    };
    parts.filter_map(plain).next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup_carries_the_containers_id() {
        let id = "0123456789abcdef".repeat(4);
        let of = |text: &str| container_in(&text.replace("ID", &id));
        assert_eq!(of("4:memory:/docker/ID\n0::/\n").as_ref(), Some(&id));
        assert_eq!(of("0::/system.slice/docker-ID.scope\n").as_ref(), Some(&id));
        assert_eq!(of("0::/docker/ID/init.scope\n").as_ref(), Some(&id));
        assert_eq!(of("0::/user.slice/session-1.scope\n1:name=x:/docker/IDa\n"), None);
        assert_eq!(of(""), None);
    }

    #[tokio::test]
    async fn who_is_in_no_container_is_left_alone() {
        let us = std::process::id();
        let inmate = Inmate { pid: us, start: proc::stat(us).unwrap().start };
        assert!(!inmate.kill(&"0".repeat(ID)).await, "or this test has ended");
        let nobody = Inmates::of(["0".repeat(ID).as_str(), "not-an-id"]);
        assert_eq!(nobody.kill(&"0".repeat(ID)).await, 0);
    }
}
