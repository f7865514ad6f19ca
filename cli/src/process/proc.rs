//! What the kernel tells of processes, in /proc.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal, test_kill_process};

/// What the kernel tells of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) parent: u32,
    pub(crate) group: u32,
    pub(crate) session: u32,
    /// The process group that its terminal listens to; -1 without a terminal.
    pub(crate) foreground: i64,
    /// When it started, in clock ticks since the boot.
    pub(crate) start: u64,
    /// Whether it only waits to be buried.
    pub(crate) has_ended: bool,
}

/// All processes that can be seen from here, by pid.
pub(crate) fn all() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Kills a process that is the one that is meant, and gives a handle by which its end can be seen; none where there is none, or it is another
/// one. It is asked for once the process is held: its pid is nobody else's from then on.
pub(crate) fn kill_if(pid: u32, is_meant: impl FnOnce() -> bool) -> Option<OwnedFd> {
    let handle = pidfd_open(Pid::from_raw(pid.try_into().ok()?)?, PidfdFlags::empty()).ok()?;
    (is_meant() && pidfd_send_signal(&handle, Signal::KILL).is_ok()).then_some(handle)
}

/// The pids above a process, its parent first.
pub(crate) fn ancestors(pid: u32) -> impl Iterator<Item = u32> {
    let parent = |pid: u32| stat(pid).map(|stat| stat.parent).filter(|&parent| parent != 0);
    // Parents may end and be replaced while we look, so nothing but the bound says that this ends.
    std::iter::successors(parent(pid), move |&pid| parent(pid)).take(1000)
}

pub(crate) fn stat(pid: u32) -> Option<Stat> {
    look(pid).ok()
}

/// As [`stat`], with what the kernel says where it tells nothing.
pub(crate) fn look(pid: u32) -> io::Result<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    parse(&text).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Whether nobody has this pid. That /proc does not show it says little: its mount may hide the processes of others (`hidepid`,
/// proc(5)), while a signal is answered for all.
pub(crate) fn is_nobodys(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_none_or(|pid| test_kill_process(pid) == Err(Errno::SRCH))
}

/// The user as whom a process acts: its effective one (proc_pid_status(5)).
pub(crate) fn user(pid: u32) -> Option<u32> {
    effective(&std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

fn effective(status: &str) -> Option<u32> {
    status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The words of a process's command line.
pub(crate) fn command_line(pid: u32) -> Vec<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = bytes.split(|&byte| byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
    words.filter(|word| !word.is_empty()).collect()
}

/// Reads `/proc/PID/stat` (proc_pid_stat(5)). The second field, the name, may hold anything, so what counts
/// comes after the last bracket.
fn parse(text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text.get(text.rfind(')')? + 1..)?.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).copied();
    Some(Stat {
        parent: field(4)?.parse().ok()?,
        group: field(5)?.parse().ok()?,
        session: field(6)?.parse().ok()?,
        foreground: field(8)?.parse().ok()?,
        start: field(22)?.parse().ok()?,
        has_ended: matches!(field(3)?, "Z" | "X"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_process_cannot_lie_about_it() {
        let text = "42 (a) R 1 (b) S 7 8 9 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 12345 6 7\n";
        let stat = parse(text).unwrap();
        assert_eq!((stat.parent, stat.group, stat.session, stat.foreground), (7, 8, 9, -1));
        assert_eq!((stat.start, stat.has_ended), (12345, false));
        assert_eq!(parse("42 (a"), None);
    }

    #[test]
    fn a_process_acts_as_its_effective_user() {
        assert_eq!(effective("Name:\tsu\nUid:\t1000\t0\t0\t0\n"), Some(0));
        assert_eq!(user(std::process::id()), Some(rustix::process::geteuid().as_raw()));
    }

    #[test]
    fn a_signal_tells_who_is_there() {
        assert!(!is_nobodys(std::process::id()));
        assert!(!is_nobodys(1), "whoever may send it one");
        let mut child = std::process::Command::new("true").spawn().unwrap();
        assert!(!is_nobodys(child.id()), "it waits to be buried");
        child.wait().unwrap();
        assert!(is_nobodys(child.id()));
        assert!(is_nobodys(0) && is_nobodys(u32::MAX), "no pids");
    }

    #[test]
    fn parents_are_followed_up() {
        let us = std::process::id();
        assert_eq!(ancestors(us).next(), stat(us).map(|stat| stat.parent));
    }
}
