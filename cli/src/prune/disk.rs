//! How full the engine's disk is.

use std::io;
use std::path::Path;

use rustix::fs::statvfs;

/// A file system as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    /// Bytes that are used.
    pub used: u64,
    /// Bytes that others than root may still write.
    pub available: u64,
    /// Inodes that are used.
    pub inodes_used: u64,
    /// Inodes that are free. Both are 0 where the file system makes them as needed.
    pub inodes_free: u64,
}

/// From which use on room is made, and down to which. In percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Above this it is too full.
    pub high: u8,
    /// Below this there is room again.
    pub low: u8,
    /// As `high`, for inodes.
    pub inodes_high: u8,
    /// As `low`, for inodes.
    pub inodes_low: u8,
}

impl Disk {
    /// The file system that this directory is on.
    ///
    /// # Errors
    /// When the directory cannot be seen from here.
    pub fn of(directory: &Path) -> io::Result<Self> {
        let found = statvfs(directory)?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Ok(Self {
            used: bytes(found.f_blocks.saturating_sub(found.f_bfree)),
            available: bytes(found.f_bavail),
            inodes_used: found.f_files.saturating_sub(found.f_ffree),
            inodes_free: found.f_ffree,
        })
    }

    /// Whether room has to be made.
    pub fn is_too_full(&self, limits: &Limits) -> bool {
        self.is_above(limits.high, limits.inodes_high)
    }

    /// Whether there is no room yet.
    pub fn is_still_full(&self, limits: &Limits) -> bool {
        self.is_above(limits.low, limits.inodes_low)
    }

    fn is_above(&self, bytes: u8, inodes: u8) -> bool {
        exceeds(self.used, self.available, bytes) || exceeds(self.inodes_used, self.inodes_free, inodes)
    }

    /// How much of the bytes is used, in percent, rounded up as df(1) does.
    pub fn percent(&self) -> u8 {
        percent(self.used, self.available)
    }

    /// How much of the inodes is used, in percent, rounded up.
    pub fn inodes_percent(&self) -> u8 {
        percent(self.inodes_used, self.inodes_free)
    }
}

fn exceeds(used: u64, free: u64, limit: u8) -> bool {
    u128::from(used) * 100 > u128::from(limit) * (u128::from(used) + u128::from(free))
}

fn percent(used: u64, free: u64) -> u8 {
    let all = u128::from(used) + u128::from(free);
    let share = (u128::from(used) * 100).div_ceil(all.max(1));
    u8::try_from(share).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_inodes_have_limits_of_their_own() {
        let limits = Limits { high: 70, low: 60, inodes_high: 90, inodes_low: 80 };
        let disk = |used, inodes_used| Disk {
            used,
            available: 100 - used,
            inodes_used,
            inodes_free: 100 - inodes_used,
        };
        assert!(!disk(70, 90).is_too_full(&limits), "up to the limit is fine");
        assert!(disk(71, 0).is_too_full(&limits) && disk(0, 91).is_too_full(&limits));
        assert!(disk(61, 0).is_still_full(&limits) && !disk(60, 80).is_still_full(&limits));
        let without_inodes = Disk { used: 1, available: 199, inodes_used: 0, inodes_free: 0 };
        assert!(!without_inodes.is_too_full(&limits));
        assert_eq!((without_inodes.percent(), without_inodes.inodes_percent()), (1, 0));
        assert!(Disk::of(Path::new("/")).unwrap().percent() > 0);
        assert!(Disk::of(Path::new("/nowhere")).is_err());
    }
}
