//! Which files are in use: open, mapped, run, worked in, or locked by somebody.
//!
//! What the kernel tells in /proc is a look at one moment; whoever opens a file that was not used for days changes its atime, which
//! is looked at right before it goes. Processes of other users, and in other containers, are seen only by root of the host.

use std::collections::HashSet;
use std::fs;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, CWD, FlockOperation, StatxFlags, fcntl_lock, flock, statx};
use rustix::io::Errno;

use super::place::Key;

/// The files of one file system that were in use at one moment.
#[derive(Debug)]
pub struct InUse {
    inodes: HashSet<u64>,
    looked: Instant,
    took: Duration,
}

/// A look is good for so many times the time that it took, so that looking takes a twentieth of a sweep at most.
const GOOD_FOR: u32 = 20;

impl InUse {
    /// Looks at all processes but this one.
    pub fn look(device: (u32, u32)) -> Self {
        let looked = Instant::now();
        let mut inodes = HashSet::new();
        let own = std::process::id().to_string();
        for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let name = process.file_name();
            let is_process = name.to_str().is_some_and(|name| name.bytes().all(|b| b.is_ascii_digit()));
            if is_process && name.to_str() != Some(&own) {
                of_process(&process.path(), device, &mut inodes);
            }
        }
        locks(&fs::read_to_string("/proc/locks").unwrap_or_default(), device, &mut inodes);
        Self { inodes, looked, took: looked.elapsed() }
    }

    /// Whether it is time for another look.
    pub fn is_stale(&self) -> bool {
        self.looked.elapsed() > self.took * GOOD_FOR
    }

    /// Whether somebody had this file.
    pub fn has(&self, inode: u64) -> bool {
        self.inodes.contains(&inode)
    }

    /// All that were in use.
    pub fn inodes(&self) -> impl Iterator<Item = u64> + '_ {
        self.inodes.iter().copied()
    }
}

/// What a process has open, works in, runs, and has mapped. One that ends meanwhile has nothing.
fn of_process(process: &Path, device: (u32, u32), inodes: &mut HashSet<u64>) {
    let files = fs::read_dir(process.join("fd")).into_iter().flatten().flatten().map(|file| file.path());
    for file in files.chain(["cwd", "root", "exe"].map(|name| process.join(name))) {
        // Nobody is asked over a network.
        if let Ok(stat) = statx(CWD, &file, AtFlags::STATX_DONT_SYNC, StatxFlags::INO)
            && Key::of(&stat).device == device
        {
            inodes.insert(stat.stx_ino);
        }
    }
    mapped(&fs::read(process.join("maps")).unwrap_or_default(), inodes);
}

/// Reads `/proc/PID/maps` (proc_pid_maps(5)): `addresses rights offset device inode path`. The device is not that of stat(2) on
/// btrfs and overlay, so the inode alone counts: a file too many stays.
fn mapped(maps: &[u8], inodes: &mut HashSet<u64>) {
    for line in maps.split(|&byte| byte == b'\n') {
        let field = line.split(|&byte| byte == b' ').nth(4).and_then(|field| std::str::from_utf8(field).ok());
        if let Some(inode) = field.and_then(|field| field.parse().ok()).filter(|&inode| inode != 0) {
            inodes.insert(inode);
        }
    }
}

/// Reads `/proc/locks` (proc_locks(5)): locks of either kind, also those that cannot be asked for without writing to the file.
fn locks(text: &str, device: (u32, u32), inodes: &mut HashSet<u64>) {
    let of_line = |line: &str| {
        let place = line.split_ascii_whitespace().find(|field| field.split(':').count() == 3)?;
        let mut parts = place.split(':');
        let major = u32::from_str_radix(parts.next()?, 16).ok()?;
        let minor = u32::from_str_radix(parts.next()?, 16).ok()?;
        Some(((major, minor), parts.next()?.parse::<u64>().ok()?))
    };
    inodes.extend(text.lines().filter_map(of_line).filter(|(on, _)| *on == device).map(|(_, inode)| inode));
}

/// Takes the lock of a file for as long as it is open, so that nobody who asks for one gets it meanwhile.
///
/// # Errors
/// `WOULDBLOCK` where somebody has it, whichever kind of lock it is. Locks of processes in other containers are seen too.
pub(super) fn lock(file: &impl AsFd) -> Result<(), Errno> {
    match flock(file.as_fd(), FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        // A file system without it has no such locks.
        Err(Errno::NOSYS | Errno::OPNOTSUPP | Errno::NOLCK | Errno::INVAL) => {}
        Err(errno) => return Err(errno),
    }
    // Of the other kind only those who write can be asked for: the file is open to be read.
    match fcntl_lock(file.as_fd(), FlockOperation::NonBlockingLockShared) {
        Err(Errno::AGAIN | Errno::ACCESS) => Err(Errno::WOULDBLOCK),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::os::fd::OwnedFd;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn maps_and_locks_are_read() {
        let mut inodes = HashSet::new();
        let maps =
            b"5590-5591 r--p 00000000 fe:00 132 /usr/bin/x y\n7ffd-7ffe rw-p 00000000 00:00 0 [stack]\n";
        mapped(maps, &mut inodes);
        assert_eq!(inodes, HashSet::from([132]));
        let mut inodes = HashSet::new();
        let text = "1: FLOCK  ADVISORY  WRITE 42 fe:00:11 0 EOF\n2: POSIX  ADVISORY  READ 7 00:1f:12 0 EOF\n\
                    3: -> POSIX ADVISORY WRITE 8 fe:00:13 5 9\nodd\n";
        locks(text, (0xfe, 0), &mut inodes);
        assert_eq!(inodes, HashSet::from([11, 13]));
    }

    #[test]
    fn what_another_process_has_is_in_use() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "").unwrap();
        let key = Key::at(&path).unwrap();
        assert!(!InUse::look(key.device).has(key.inode));
        let mut other = Command::new("sh");
        other.args(["-c", "exec 3<\"$0\"; echo ready; read _"]).arg(&path);
        let mut other = other.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(other.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(InUse::look(key.device).has(key.inode), "open");
        other.stdin.take().unwrap().write_all(b"\n").unwrap();
        other.wait().unwrap();
        assert!(!InUse::look(key.device).has(key.inode), "closed again");
    }

    #[test]
    fn a_lock_is_seen_whoever_has_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let open = || OwnedFd::from(std::fs::File::open(file.path()).unwrap());
        assert_eq!(lock(&open()), Ok(()));
        let held = open();
        flock(&held, FlockOperation::LockShared).unwrap();
        assert_eq!(lock(&open()), Err(Errno::WOULDBLOCK), "one who reads");
        drop(held);
        assert_eq!(lock(&open()), Ok(()));
    }
}
