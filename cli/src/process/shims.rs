//! Shims that containerd has forgotten: killed while it starts one, it does not know of it when it comes back, and the shim, which nobody
//! asks for anything, stays forever.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::proc;

/// What shims of containerd are called, and before them their namespace, their container and containerd's socket.
const NAME: &str = "containerd-shim";

/// What the kernel puts behind the name of a directory that is gone (proc_pid_cwd(5)).
const DELETED: &str = " (deleted)";

/// Shims of containers that are gone.
#[derive(Debug)]
pub(crate) struct Shims<'a> {
    /// containerd's socket.
    pub(crate) address: &'a str,
    /// Where the containers were.
    pub(crate) namespace: &'a str,
    /// Their ids, and whether nobody else calls a container so.
    pub(crate) containers: HashMap<&'a str, bool>,
}

impl Shims<'_> {
    /// Kills the shims of these containers, and tells how many there were. Where another container may be called like that by now,
    /// only those without the directory that a shim works in: it is its container's, and containerd has removed it. Looks once at
    /// all processes that can be seen from here.
    pub(crate) fn end(&self) -> usize {
        if self.containers.is_empty() {
            return 0;
        }
        let is_killed = |&pid: &u32| self.has(pid) && proc::kill_if(pid, || self.has(pid)).is_some();
        proc::all().filter(is_killed).count()
    }

    fn has(&self, pid: u32) -> bool {
        self.named(&proc::command_line(pid)).is_some_and(|is_ours_alone| is_ours_alone || is_abandoned(pid))
    }

    /// Whether nobody else's container is called like the one that a shim with this command line is for; none where it is no
    /// shim of these.
    fn named(&self, words: &[String]) -> Option<bool> {
        let [program, flags @ ..] = words else { return None };
        let is_shim = Path::new(program)
            .file_name()
            .is_some_and(|name| name.to_str().is_some_and(|name| name.starts_with(NAME)));
        let flag = |name: &str| {
            flags.windows(2).find(|pair| pair[0].trim_start_matches('-') == name).map(|pair| pair[1].as_str())
        };
        let is_there = is_shim
            && flag("namespace") == Some(self.namespace)
            && flag("address").is_some_and(|address| whole(address) == whole(self.address));
        flag("id").filter(|_| is_there).and_then(|id| self.containers.get(id)).copied()
    }
}

/// Whether the directory that a process works in is gone.
fn is_abandoned(pid: u32) -> bool {
    let directory = fs::read_link(format!("/proc/{pid}/cwd"));
    directory.is_ok_and(|directory| directory.to_str().is_some_and(|name| name.ends_with(DELETED)))
}

/// A socket by its whole path, whatever links lead to it.
fn whole(address: &str) -> PathBuf {
    let path = address.strip_prefix("unix://").unwrap_or(address);
    fs::canonicalize(path).unwrap_or_else(|_| path.into())
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// `cat` under the name of a shim.
    fn shim(place: &Path, directory: &Path, id: &str) -> Child {
        let program = place.join("containerd-shim-x");
        if !program.exists() {
            fs::copy("/bin/sh", &program).unwrap();
        }
        fs::create_dir_all(directory).unwrap();
        let mut child = Command::new(&program);
        child.args(["-c", "read word", "-namespace", "n", "-id", id, "-address", "/run/x.sock"]);
        child.current_dir(directory).stdin(Stdio::piped()).spawn().unwrap()
    }

    #[test]
    fn a_shim_without_its_directory_goes_and_no_other() {
        let place = tempfile::tempdir().unwrap();
        let directory = |name: &str| place.path().join(name);
        let mut forgotten = shim(place.path(), &directory("forgotten"), "ours");
        let mut at_work = shim(place.path(), &directory("at-work"), "ours");
        let mut theirs = shim(place.path(), &directory("theirs"), "theirs");
        for name in ["forgotten", "theirs"] {
            fs::remove_dir(directory(name)).unwrap();
        }
        let shims = |address, namespace, is_ours_alone| Shims {
            address,
            namespace,
            containers: HashMap::from([("ours", is_ours_alone)]),
        };
        assert_eq!(shims("/run/y.sock", "n", true).end(), 0);
        assert_eq!(shims("/run/x.sock", "m", true).end(), 0);
        assert_eq!(shims("/run/x.sock", "n", false).end(), 1);
        assert!(!forgotten.wait().unwrap().success());
        assert!(at_work.try_wait().unwrap().is_none());
        assert_eq!(shims("/run/x.sock", "n", true).end(), 1);
        assert!(!at_work.wait().unwrap().success());
        assert!(theirs.try_wait().unwrap().is_none());
        theirs.kill().unwrap();
        theirs.wait().unwrap();
    }
}
