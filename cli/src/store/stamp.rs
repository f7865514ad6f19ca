//! Empty files whose time says something.

use jiff::Timestamp;
use rustix::fs::{self, AtFlags, OFlags, RenameFlags, Timespec, Timestamps};
use rustix::io::Errno;

use super::directory::{Directory, unpredictable};
use super::error::Error;

impl Directory {
    /// Has an empty file of this name that was changed at this time, or later: an earlier time than it has is not taken.
    pub(super) fn stamp(&self, name: &str, at: Timestamp) -> Result<(), Error> {
        self.try_stamp(name, at).map_err(|source| self.refused("stamp", name, source))
    }

    fn try_stamp(&self, name: &str, at: Timestamp) -> Result<(), Errno> {
        loop {
            match self.open(name, OFlags::RDONLY | OFlags::NONBLOCK) {
                Ok(file) if changed(&fs::fstat(&file)?) < at => {
                    return match fs::futimens(&file, &times(at)) {
                        // Another user's file takes no time but now from us, which is later.
                        Err(Errno::PERM) => fs::futimens(&file, &NOW),
                        stamped => stamped,
                    };
                }
                Ok(_) => return Ok(()),
                Err(Errno::NOENT) => {}
                Err(refused) => return Err(refused),
            }
            // It has its time before anybody sees it.
            let hidden = format!(".{}", unpredictable());
            let file = self.create(&hidden)?;
            let placed = fs::futimens(&file, &times(at))
                .and_then(|()| fs::renameat_with(&self.fd, &hidden, &self.fd, name, RenameFlags::NOREPLACE));
            if placed.is_err() {
                let _ = self.remove(&hidden);
            }
            match placed {
                // Somebody was first, or took it for what was abandoned long ago.
                Err(Errno::EXIST | Errno::NOENT) => {}
                placed => return placed,
            }
        }
    }

    /// When the file of this name was changed; none where there is none.
    pub(super) fn changed(&self, name: &str) -> Option<Timestamp> {
        fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW).ok().map(|stat| changed(&stat))
    }
}

const NOW: Timestamps = Timestamps {
    last_access: Timespec { tv_sec: 0, tv_nsec: fs::UTIME_NOW },
    last_modification: Timespec { tv_sec: 0, tv_nsec: fs::UTIME_NOW },
};

fn times(at: Timestamp) -> Timestamps {
    let time = Timespec { tv_sec: at.as_second(), tv_nsec: at.subsec_nanosecond().max(0).into() };
    Timestamps { last_access: time, last_modification: time }
}

fn changed(stat: &fs::Stat) -> Timestamp {
    let nanoseconds = i32::try_from(stat.st_mtime_nsec).unwrap_or(0);
    Timestamp::new(stat.st_mtime, nanoseconds).unwrap_or_default()
}
