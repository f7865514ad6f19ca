//! The state of sweeps: what was removed, and which files were seen in use.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::directory::Directory;
use super::error::Error;
use super::flock::Locked;
use super::{Mode, place, wait};

/// What was removed by all sweeps of this state directory.
const TRAIL: &str = "trail.jsonl";

/// A trail that has grown to so many bytes becomes the last one, and the one before that is forgotten.
const LONGEST_TRAIL: u64 = 64 << 20;

/// When files of a device were seen in use.
const USES: &str = "uses-";

/// Of so many files of a device at most it is known when they were seen in use: the latest. A million are 30 MB.
const MOST_USES: usize = 1_000_000;

/// The state of all sweeps.
#[derive(Debug)]
pub struct Sweeping {
    all: Directory,
}

impl Sweeping {
    /// Opens the state of sweeps in a state directory, and makes it where it is missing.
    ///
    /// # Errors
    /// When the state directory cannot be used; the error says what to do.
    pub fn open(state: &Path) -> Result<Self, Error> {
        Ok(Self { all: Directory::state(state)?.directory("sweep")? })
    }

    /// When files of this device were seen in use, by their inodes, in nanoseconds since 1970. Makes nothing.
    ///
    /// # Errors
    /// When the state directory is there and cannot be used.
    pub fn uses(state: &Path, device: &str) -> Result<HashMap<u64, i64>, Error> {
        let state = Directory::state_if_there(state)?;
        let all = state.map(|state| state.directory_if_there("sweep")).transpose()?.flatten();
        Ok(all.map(|all| read_uses(&all, device)).unwrap_or_default())
    }

    /// Keeps when files of a device were seen in use. Tells of how many of these: there are as many as are kept at most.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add_uses(state: &Path, device: &str, uses: HashMap<u64, i64>) -> Result<usize, Error> {
        add_uses(&Directory::state(state)?.directory("sweep")?, device, uses, MOST_USES)
    }

    /// The state directory of this process.
    ///
    /// # Errors
    /// When there is no place for it.
    pub fn place() -> Result<PathBuf, Error> {
        place::place()
    }

    /// Locks the lock file of a tool. None where the tool has it for longer than this.
    pub fn lock_within(file: File, limit: Duration) -> Option<Locked> {
        wait::within(file, Mode::Exclusive, limit, || ()).ok().flatten()
    }

    /// The trail, to be added to, and where it is.
    ///
    /// # Errors
    /// When it cannot be had.
    pub fn trail(&self) -> Result<(File, PathBuf), Error> {
        let path = self.all.path().join(TRAIL);
        // For a moment: two who find it too long would forget more than one.
        let _turn = Locked::wait(self.all.lock_file("trail-lock")?, Mode::Exclusive)
            .map_err(|source| Error::refused("lock", &path, source))?;
        let file = self.all.growing_file(TRAIL, LONGEST_TRAIL)?;
        Ok((file, path))
    }
}

fn add_uses(all: &Directory, device: &str, uses: HashMap<u64, i64>, most: usize) -> Result<usize, Error> {
    let _turn = Locked::wait(all.lock_file("uses-lock")?, Mode::Exclusive)
        .map_err(|source| Error::refused("lock", all.path(), source))?;
    let mut known = read_uses(all, device);
    for (&inode, &at) in &uses {
        let latest = known.entry(inode).or_insert(at);
        *latest = at.max(*latest);
    }
    let mut latest: Vec<(u64, i64)> = known.into_iter().collect();
    latest.sort_unstable_by_key(|&(inode, at)| (std::cmp::Reverse(at), inode));
    latest.truncate(most);
    let kept = latest.iter().filter(|(inode, _)| uses.contains_key(inode)).count();
    let mut text = String::new();
    for (inode, at) in latest {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{inode} {at}");
    }
    all.replace(&format!("{USES}{device}"), text.as_bytes())?;
    Ok(kept)
}

/// What cannot be read is not known.
fn read_uses(all: &Directory, device: &str) -> HashMap<u64, i64> {
    let mut text = String::new();
    let Ok(mut file) = all.open_record(&format!("{USES}{device}")) else { return HashMap::new() };
    if file.read_to_string(&mut text).is_err() {
        return HashMap::new();
    }
    let line = |line: &str| {
        let (inode, at) = line.split_once(' ')?;
        Some((inode.parse().ok()?, at.parse().ok()?))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn the_latest_use_is_kept() {
        let state = tempfile::tempdir().unwrap();
        let all = Directory::state(&state.path().join("state")).unwrap();
        let add = |uses: &[(u64, i64)], most| add_uses(&all, "8.1", uses.iter().copied().collect(), most);
        assert_eq!(add(&[(5, 1_700_000_000_000_000_000), (7, -1)], 9).unwrap(), 2);
        assert_eq!(add(&[(5, 3), (8, 4)], 9).unwrap(), 2);
        let known = HashMap::from([(5, 1_700_000_000_000_000_000), (7, -1), (8, 4)]);
        assert_eq!(read_uses(&all, "8.1"), known);
        assert_eq!(read_uses(&all, "8.2"), HashMap::new());
        std::fs::write(state.path().join("state/uses-8.2"), "5 6\nodd\n").unwrap();
        assert_eq!(read_uses(&all, "8.2"), HashMap::from([(5, 6)]));
        // Who has no room is told so.
        assert_eq!(add(&[(1, 9), (2, 9), (3, 9)], 3).unwrap(), 2);
        assert_eq!(read_uses(&all, "8.1"), HashMap::from([(5, 1_700_000_000_000_000_000), (1, 9), (2, 9)]));
    }

    #[test]
    fn a_trail_grows_until_it_is_too_long() {
        let state = tempfile::tempdir().unwrap();
        let state = state.path().join("state");
        let sweeping = Sweeping::open(&state).unwrap();
        for _ in 0..2 {
            let (mut file, _) = sweeping.trail().unwrap();
            file.write_all(b"line\n").unwrap();
        }
        let path = state.join("sweep/trail.jsonl");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "line\nline\n");
        File::options().write(true).open(&path).unwrap().set_len(LONGEST_TRAIL + 1).unwrap();
        sweeping.trail().unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
        assert_eq!(std::fs::metadata(path.with_extension("jsonl.1")).unwrap().len(), LONGEST_TRAIL + 1);
    }
}
