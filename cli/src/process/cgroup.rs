//! The processes of a control group, whatever became of those who started them (cgroups(7)).

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Where the kernel shows control groups.
const ROOT: &str = "/sys/fs/cgroup";

/// Between two looks at what is left: an end by SIGKILL takes about as long.
const PAUSE: Duration = Duration::from_millis(5);

/// Kills all processes of the control group of this path, such as `/ci-build/0123`, and below it, and removes it. Tells how many
/// there were; one that is not there is empty.
///
/// # Errors
/// When a process cannot be killed or seen from here, or does not end in time.
pub(crate) async fn end(path: &str, patience: Duration) -> io::Result<usize> {
    end_in(Path::new(ROOT), path, patience).await
}

async fn end_in(root: &Path, path: &str, patience: Duration) -> io::Result<usize> {
    let (mut killed, deadline) = (BTreeSet::new(), Instant::now() + patience);
    loop {
        let groups = groups(root, path)?;
        let pids = pids(&groups)?;
        if pids.is_empty() && remove(&groups)? {
            return Ok(killed.len());
        }
        if Instant::now() >= deadline {
            return Err(io::Error::other(format!("processes of {path} do not end: {pids:?}")));
        }
        for pid in pids {
            if kill(&groups, pid)? {
                killed.insert(pid);
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The directories of a control group and of those below it, the deepest first: one in the hierarchy of version 2, one in each of
/// version 1.
fn groups(root: &Path, path: &str) -> io::Result<Vec<PathBuf>> {
    let relative = path.trim_start_matches('/');
    let mut found = Vec::new();
    let hierarchies = fs::read_dir(root).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    for hierarchy in std::iter::once(root.to_owned()).chain(hierarchies) {
        let group = hierarchy.join(relative);
        // Where version 1 joins hierarchies, one is a link to the other.
        if group.is_dir() && !hierarchy.is_symlink() {
            descend(group, &mut found)?;
        }
    }
    found.reverse();
    Ok(found)
}

fn descend(group: PathBuf, found: &mut Vec<PathBuf>) -> io::Result<()> {
    found.push(group.clone());
    for entry in if_there(fs::read_dir(&group))?.into_iter().flatten() {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            descend(entry.path(), found)?;
        }
    }
    Ok(())
}

fn pids(groups: &[PathBuf]) -> io::Result<BTreeSet<i32>> {
    let mut all = BTreeSet::new();
    for group in groups {
        let text = match fs::read_to_string(group.join("cgroup.procs")) {
            // A threaded group tells no processes; they are those of the group above.
            Err(error) if error.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error()) => continue,
            read => if_there(read)?.unwrap_or_default(),
        };
        all.extend(text.lines().filter_map(|line| line.trim().parse::<i32>().ok()));
    }
    Ok(all)
}

/// Kills a process if it is still one of the group's: its pid may be another's by now. Whether it was.
fn kill(groups: &[PathBuf], pid: i32) -> io::Result<bool> {
    let Some(named) = Pid::from_raw(pid) else {
        return Err(io::Error::other("processes of another pid namespace cannot be killed from here"));
    };
    let handle = match pidfd_open(named, PidfdFlags::empty()) {
        Err(Errno::SRCH) => return Ok(false),
        opened => opened?,
    };
    if !pids(groups)?.contains(&pid) {
        return Ok(false);
    }
    match pidfd_send_signal(&handle, Signal::KILL) {
        Err(Errno::SRCH) => Ok(false),
        sent => Ok(sent.map(|()| true)?),
    }
}

/// Whether the groups are gone: the last process may not be buried yet.
fn remove(groups: &[PathBuf]) -> io::Result<bool> {
    for group in groups {
        match fs::remove_dir(group) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => return Ok(false),
            removed => if_there(removed).map(drop)?,
        }
    }
    Ok(true)
}

fn if_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        // What the kernel says of a group that goes while it is read.
        Err(error) if error.raw_os_error() == Some(Errno::NODEV.raw_os_error()) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    /// What is there is a file each, and in plain directories: the kernel's would want root, and a group to make.
    #[test]
    fn those_in_the_group_are_killed_and_no_others() {
        let root = tempfile::tempdir().unwrap();
        let group = root.path().join("pids/ci-build/1");
        fs::create_dir_all(group.join("below")).unwrap();
        let sleeper = || Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let [mut inside, mut below, mut outside] = [sleeper(), sleeper(), sleeper()];
        fs::write(group.join("cgroup.procs"), format!("{}\n", inside.id())).unwrap();
        fs::write(group.join("below/cgroup.procs"), format!("{}\n", below.id())).unwrap();
        // These files never get empty, as the kernel's do.
        let refused = block_on(end_in(root.path(), "/ci-build/1", Duration::from_millis(50))).unwrap_err();
        assert!(refused.to_string().contains("do not end"), "{refused}");
        assert!(!inside.wait().unwrap().success() && !below.wait().unwrap().success());
        assert!(outside.try_wait().unwrap().is_none());
        outside.kill().unwrap();
        outside.wait().unwrap();
        assert_eq!(block_on(end_in(root.path(), "/ci-build/2", Duration::ZERO)).unwrap(), 0);
    }
}
