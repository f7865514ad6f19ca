//! Who a process is. A pid alone is nobody: it is given anew after a while, and after every boot.

use std::io;
use std::path::Path;

use jiff::SignedDuration;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::failpoint;
use crate::process::proc::{self, Stat, stat};

/// What belongs to a process that cannot be seen from here (it is in another container) is taken for left after this long.
pub(crate) const UNSEEN: SignedDuration = SignedDuration::from_hours(24);

/// One process among all that ever ran on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// The boot that it runs in (`/proc/sys/kernel/random/boot_id`).
    pub boot: String,
    /// The namespace that its pid counts in (`/proc/PID/ns/pid`): containers have their own.
    pub namespace: String,
    /// Its pid.
    pub pid: u32,
    /// When it started, in clock ticks since the boot (`/proc/PID/stat`, field 22).
    pub start: u64,
}

/// Whether a process still runs, as far as can be seen from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It runs.
    Alive,
    /// It ended, or its host was started anew.
    Gone,
    /// It is in another namespace, where our pids mean others, or /proc does not show it to us.
    OutOfSight,
}

impl Process {
    /// This process.
    pub fn this() -> Option<Self> {
        Self::of(std::process::id())
    }

    /// The process that has this pid now, seen from here.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = stat(pid).filter(|stat| !stat.has_ended)?;
        Some(Self { boot: boot()?, namespace: namespace()?, pid, start: stat.start })
    }

    /// Whether it still runs.
    pub fn liveness(&self) -> Liveness {
        let Some(us) = Self::this() else { return Liveness::OutOfSight };
        if self.boot != us.boot {
            return Liveness::Gone;
        }
        if self.namespace != us.namespace {
            return Liveness::OutOfSight;
        }
        self.judge(proc::look(self.pid), proc::is_nobodys)
    }

    /// By what /proc tells of its pid. What cannot be read is no death: only a pid that nobody has is one.
    fn judge(&self, looked: io::Result<Stat>, is_nobodys: impl FnOnce(u32) -> bool) -> Liveness {
        match looked {
            Ok(stat) if stat.start == self.start && !stat.has_ended => Liveness::Alive,
            Ok(_) => Liveness::Gone,
            Err(error) => {
                let absent = [Errno::NOENT, Errno::SRCH].map(Errno::raw_os_error);
                let is_absent = error.raw_os_error().is_some_and(|code| absent.contains(&code));
                if is_absent && is_nobodys(self.pid) { Liveness::Gone } else { Liveness::OutOfSight }
            }
        }
    }
}

fn boot() -> Option<String> {
    let ours = || std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
    failpoint::boot().or_else(ours).map(|boot| boot.trim().to_owned())
}

fn namespace() -> Option<String> {
    Some(std::fs::read_link(Path::new("/proc/self/ns/pid")).ok()?.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_alone_is_nobody() {
        let us = Process::this().unwrap();
        assert_eq!(us.liveness(), Liveness::Alive);
        let earlier = Process { start: us.start - 1, ..us.clone() };
        assert_eq!(earlier.liveness(), Liveness::Gone, "the pid was given anew");
        let other_boot = Process { boot: "another".into(), ..us.clone() };
        assert_eq!(other_boot.liveness(), Liveness::Gone);
        let contained = Process { namespace: "pid:[1]".into(), ..us.clone() };
        assert_eq!(contained.liveness(), Liveness::OutOfSight);
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let process = Process { pid: child.id(), start: stat(child.id()).unwrap().start, ..us };
        child.wait().unwrap();
        assert_eq!(process.liveness(), Liveness::Gone);
    }

    #[test]
    fn who_is_hidden_is_not_dead() {
        let us = Process::this().unwrap();
        let judge = |errno: Errno, is_nobodys| us.judge(Err(errno.into()), |_| is_nobodys);
        assert_eq!(judge(Errno::NOENT, false), Liveness::OutOfSight, "hidepid=2");
        assert_eq!(judge(Errno::ACCESS, true), Liveness::OutOfSight, "hidepid=1");
        assert_eq!(judge(Errno::MFILE, true), Liveness::OutOfSight, "it could not be asked for");
        assert_eq!(judge(Errno::NOENT, true), Liveness::Gone);
        assert_eq!(judge(Errno::SRCH, true), Liveness::Gone, "it ended while we read");
        let earlier = Stat { start: us.start + 1, ..stat(us.pid).unwrap() };
        assert_eq!(us.judge(Ok(earlier), |_| false), Liveness::Gone, "the pid was given anew");
    }
}
