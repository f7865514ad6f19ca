//! What a sweep should do, told naively: by paths, by recursion, and with all of it in memory. The laboratory uses it too.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

/// What has a path, times in nanoseconds since 1970.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) used: i128,
    pub(crate) changed: i128,
    pub(crate) inode: u64,
    pub(crate) bytes: u64,
    pub(crate) links: u64,
    pub(crate) is_directory: bool,
}

/// All that is below, what is in a directory after it, in the order of the names. By recursion and by paths, as nobody should.
pub(crate) fn paths(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    add_paths(directory, &mut found)?;
    Ok(found)
}

fn add_paths(directory: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let names = std::fs::read_dir(directory)?.map(|entry| Ok(entry?.path()));
    let mut names: Vec<PathBuf> = names.collect::<io::Result<_>>()?;
    names.sort_unstable_by(|a, b| a.as_os_str().as_bytes().cmp(b.as_os_str().as_bytes()));
    for path in names {
        let is_directory = path.symlink_metadata()?.is_dir();
        found.push(path.clone());
        if is_directory {
            add_paths(&path, found)?;
        }
    }
    Ok(())
}

/// What the system says of each.
pub(crate) fn look(tree: &Path) -> io::Result<BTreeMap<PathBuf, Found>> {
    let of = |path: PathBuf| {
        let stat = path.symlink_metadata()?;
        let nanoseconds = |seconds: i64, part: i64| i128::from(seconds) * 1_000_000_000 + i128::from(part);
        let changed = nanoseconds(stat.mtime(), stat.mtime_nsec());
        let found = Found {
            used: changed.max(nanoseconds(stat.atime(), stat.atime_nsec())),
            changed,
            inode: stat.ino(),
            bytes: stat.blocks() * 512,
            links: stat.nlink(),
            is_directory: stat.is_dir(),
        };
        Ok((path, found))
    };
    paths(tree)?.into_iter().map(of).collect()
}

/// As if it had been read and changed at these points in time.
pub(crate) fn set_times(path: &Path, read: SystemTime, changed: SystemTime) -> io::Result<()> {
    let of = |at: SystemTime| {
        let time = at.duration_since(SystemTime::UNIX_EPOCH).map_err(io::Error::other)?;
        let seconds = time.as_secs().try_into().map_err(io::Error::other)?;
        Ok::<_, io::Error>(Timespec { tv_sec: seconds, tv_nsec: time.subsec_nanos().into() })
    };
    let times = Timestamps { last_access: of(read)?, last_modification: of(changed)? };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// What is asked for: hours, bytes, files.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) older_than: Option<u64>,
    pub(crate) max_size: Option<u64>,
    pub(crate) max_files: Option<u64>,
}

/// What is used within ten minutes stays, unless less is asked for.
const GRACE: i128 = 600_000_000_000;

/// What is left while files go.
struct Left {
    /// Of each file: how many of its names.
    names: HashMap<u64, u64>,
    bytes: u64,
    files: u64,
}

impl Left {
    fn take(&mut self, file: &Found) {
        self.files -= 1;
        let names = self.names.entry(file.inode).or_default();
        *names -= 1;
        if *names == 0 {
            self.bytes -= file.bytes;
        }
    }
}

/// What goes, and how many bytes that frees.
pub(crate) fn model(found: &BTreeMap<PathBuf, Found>, limits: Limits) -> (BTreeSet<PathBuf>, u64) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos() as i128;
    let old = |at: i128, hours: u64| now - at >= i128::from(hours) * 3_600_000_000_000;
    let mut files: Vec<(&PathBuf, &Found)> = found.iter().filter(|(_, file)| !file.is_directory).collect();
    files.sort_by_key(|(_, file)| file.used);
    let mut left = Left { names: HashMap::new(), bytes: 0, files: files.len() as u64 };
    for (_, file) in &files {
        let names = left.names.entry(file.inode).or_default();
        *names += 1;
        left.bytes += if *names == 1 { file.bytes } else { 0 };
    }
    let mut gone: BTreeSet<PathBuf> = BTreeSet::new();
    for (path, file) in &files {
        if limits.older_than.is_some_and(|hours| old(file.used, hours)) {
            left.take(file);
            gone.insert((*path).clone());
        }
    }
    for (path, file) in &files {
        let is_large = limits.max_size.is_some_and(|most| left.bytes > most);
        let is_many = limits.max_files.is_some_and(|most| left.files > most);
        let is_new = now - file.used < GRACE && limits.older_than != Some(0);
        if (is_large || is_many) && !gone.contains(*path) && !is_new {
            left.take(file);
            gone.insert((*path).clone());
        }
    }
    let freed = freed(found, &gone);
    // Directories, the deepest first: their paths are longer.
    let mut inside: HashMap<&Path, u64> = HashMap::new();
    for path in found.keys().filter(|path| !gone.contains(*path)) {
        *inside.entry(path.parent().unwrap_or(path)).or_default() += 1;
    }
    for (path, directory) in found.iter().rev().filter(|(_, f)| f.is_directory) {
        let is_empty = inside.get(path.as_path()).is_none_or(|&inside| inside == 0);
        let is_old =
            limits.older_than.map_or(now - directory.changed >= GRACE, |hours| old(directory.changed, hours));
        if is_empty && is_old {
            gone.insert(path.clone());
            *inside.entry(path.parent().unwrap_or(path)).or_default() -= 1;
        }
    }
    (gone, freed)
}

/// A file frees its blocks with the last of its names, wherever those are.
fn freed(found: &BTreeMap<PathBuf, Found>, gone: &BTreeSet<PathBuf>) -> u64 {
    let mut names: HashMap<u64, u64> = HashMap::new();
    let of = |path: &PathBuf| {
        let file = &found[path];
        let names = names.entry(file.inode).or_default();
        *names += 1;
        if *names == file.links { file.bytes } else { 0 }
    };
    gone.iter().map(of).sum()
}
