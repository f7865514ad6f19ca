//! When a file was used last, and how far that can be known.
//!
//! `atime` alone is a trap: `noatime` mounts do not keep it, `relatime` writes down one read a day at most, and a copy has a new one.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::fs::{StatVfsMountFlags, Statx, StatxTimestamp, fstatvfs};
use rustix::io::Errno;

/// By what age is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum By {
    /// The newest of atime, mtime and our own record.
    #[default]
    LastUse,
    /// When it was read last, as far as the mount keeps that.
    Atime,
    /// When it was changed last.
    Mtime,
}

/// What a mount keeps of reads (mount(8)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtimeMode {
    /// Nothing.
    Never,
    /// A read that follows a change, and else one a day.
    Relative,
    /// Every read.
    Strict,
}

impl AtimeMode {
    /// That of the mount which this file was opened through.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn of(fd: impl AsFd) -> Result<Self, Errno> {
        let flags = fstatvfs(fd)?.f_flag;
        Ok(if flags.intersects(StatVfsMountFlags::NOATIME | StatVfsMountFlags::RDONLY) {
            Self::Never
        } else if flags.contains(StatVfsMountFlags::RELATIME) {
            Self::Relative
        } else {
            Self::Strict
        })
    }

    /// As mount(8) calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Never => "noatime",
            Self::Relative => "relatime",
            Self::Strict => "strictatime",
        }
    }
}

/// Under relatime a read within this time of the last one that was noted leaves no trace, in nanoseconds.
const DAY: i64 = 24 * 60 * 60 * 1_000_000_000;

/// Tells when files were used.
#[derive(Debug, Clone)]
pub struct Clock {
    /// By what.
    pub by: By,
    /// What the mount keeps.
    pub mode: AtimeMode,
    /// Whether a read that relatime may have kept to itself counts: where what is asked for is longer than a day. What is
    /// asked for in hours would otherwise never go before a day is over.
    pub allows_for_relatime: bool,
    /// Our own record: when a file was seen in use, or said to be, by its inode.
    pub uses: HashMap<u64, i64>,
}

impl Clock {
    /// The clock for one mount and what is asked of it.
    pub fn new(by: By, mode: AtimeMode, older_than: Option<Duration>, uses: HashMap<u64, i64>) -> Self {
        let allows_for_relatime = mode == AtimeMode::Relative
            && older_than.is_none_or(|time| time >= Duration::from_nanos(DAY.unsigned_abs()));
        Self { by, mode, allows_for_relatime, uses }
    }

    /// When this was used last, in nanoseconds since 1970.
    pub fn used(&self, stat: &Statx) -> i64 {
        let modified = nanoseconds(&stat.stx_mtime);
        if self.by == By::Mtime {
            return modified;
        }
        let mut read = nanoseconds(&stat.stx_atime);
        // Had it been read since it was changed for the last time, and not yet a day ago, the next read left no trace.
        if self.allows_for_relatime && read > modified.max(nanoseconds(&stat.stx_ctime)) {
            read = read.saturating_add(DAY);
        }
        match self.by {
            By::Atime | By::Mtime => read,
            By::LastUse => read.max(modified).max(self.uses.get(&stat.stx_ino).copied().unwrap_or(i64::MIN)),
        }
    }

    /// What people should know about it; none where all is as it seems.
    pub fn note(&self, older_than: Option<Duration>) -> Option<String> {
        match (self.by, self.mode) {
            (By::Mtime, _) | (_, AtimeMode::Strict) => None,
            (_, AtimeMode::Never) => Some(
                "the mount keeps no atime (noatime): a file counts as used when it was changed, when a sweep found it in \
                 use, or when `ci-build sweep --touch` said so"
                    .into(),
            ),
            (_, AtimeMode::Relative) if self.allows_for_relatime => Some(
                "the mount notes one read a day (relatime): a file that was read after its last change counts as used up \
                 to a day after that"
                    .into(),
            ),
            (_, AtimeMode::Relative) => Some(format!(
                "the mount notes one read a day (relatime): what is asked for, {}, is shorter, so that a file may have been \
                 read since it was last seen to be",
                crate::lapse::shown(older_than.unwrap_or_default())
            )),
        }
    }
}

/// Nanoseconds since 1970; what is too far away is as far as can be said.
pub(super) fn nanoseconds(time: &StatxTimestamp) -> i64 {
    time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec.into())
}

#[cfg(test)]
mod tests {
    use std::fs::{File, FileTimes};
    use std::time::{Duration, SystemTime};

    use rustix::fs::{AtFlags, StatxFlags, statx};

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

    /// A file that was read and changed so long ago. Its ctime is now, as that of any file whose times were set.
    fn stat(read: Duration, changed: Duration) -> (Statx, i64) {
        let file = tempfile::NamedTempFile::new().unwrap();
        let now = SystemTime::now();
        let times = FileTimes::new().set_accessed(now - read).set_modified(now - changed);
        File::options().write(true).open(file.path()).unwrap().set_times(times).unwrap();
        let stat = statx(file.as_file(), "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS).unwrap();
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
        (stat, i64::try_from(now).unwrap())
    }

    fn ago(clock: &Clock, (stat, now): &(Statx, i64)) -> u64 {
        Duration::from_nanos((now - clock.used(stat)).unsigned_abs()).as_secs()
    }

    #[test]
    fn the_newest_sign_of_use_counts() {
        let file = stat(2 * HOUR, 5 * HOUR);
        let clock = |by| Clock::new(by, AtimeMode::Strict, Some(WEEK), HashMap::new());
        assert_eq!(ago(&clock(By::LastUse), &file), 2 * 3600);
        assert_eq!(ago(&clock(By::Atime), &file), 2 * 3600);
        assert_eq!(ago(&clock(By::Mtime), &file), 5 * 3600);
        let uses = HashMap::from([(file.0.stx_ino, file.1 - 60_000_000_000)]);
        let clock = |by| Clock::new(by, AtimeMode::Never, Some(WEEK), uses.clone());
        assert_eq!(ago(&clock(By::LastUse), &file), 60, "our own record");
        assert_eq!(ago(&clock(By::Atime), &file), 2 * 3600);
    }

    #[test]
    fn a_read_that_relatime_may_have_kept_to_itself_counts() {
        let (mut file, now) = stat(10 * WEEK, 20 * WEEK);
        file.stx_ctime = file.stx_mtime;
        let clock = |older| Clock::new(By::LastUse, AtimeMode::Relative, Some(older), HashMap::new());
        let days = |clock: &Clock, file: &Statx| ago(clock, &(*file, now)) / 86_400;
        assert_eq!(days(&clock(WEEK), &file), 69, "a day later than it says");
        assert_eq!(days(&clock(HOUR), &file), 70, "as it says");
        let strict = Clock::new(By::LastUse, AtimeMode::Strict, Some(WEEK), HashMap::new());
        assert_eq!(days(&strict, &file), 70);
        // Never read since its change: the next read would have been noted.
        std::mem::swap(&mut file.stx_atime, &mut file.stx_mtime);
        file.stx_ctime = file.stx_mtime;
        assert_eq!(days(&clock(WEEK), &file), 70);
    }

    #[test]
    fn what_cannot_be_known_is_said() {
        let note = |by, mode, time| Clock::new(by, mode, Some(time), HashMap::new()).note(Some(time));
        assert_eq!(note(By::Mtime, AtimeMode::Never, WEEK), None);
        assert_eq!(note(By::LastUse, AtimeMode::Strict, WEEK), None);
        insta::assert_snapshot!(note(By::LastUse, AtimeMode::Relative, HOUR).unwrap(), @"the mount notes one read a day (relatime): what is asked for, 1h, is shorter, so that a file may have been read since it was last seen to be");
        assert!(note(By::LastUse, AtimeMode::Never, WEEK).unwrap().contains("noatime"));
        assert!(note(By::Atime, AtimeMode::Relative, WEEK).unwrap().contains("up to a day"));
    }

    #[test]
    fn the_mount_is_asked() {
        let file = File::open("/proc/self/mountinfo").unwrap();
        assert!(AtimeMode::of(&file).is_ok());
    }
}
