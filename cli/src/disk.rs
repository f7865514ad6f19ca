//! How much room a file system has.

use std::io;
use std::path::Path;

use rustix::fs::statvfs;

/// The room of a file system as it is now, for those who are not root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// All of it, in bytes.
    pub total: u64,
    /// What is used, in bytes. With what is left it is less than all where root has some for itself.
    pub used: u64,
    /// What is left, in bytes.
    pub free: u64,
    /// How many files it can hold; 0 where it has no such limit (btrfs).
    pub inodes: u64,
    /// How many more files it can hold.
    pub inodes_free: u64,
}

impl Space {
    /// The room of the file system that holds this path.
    ///
    /// # Errors
    /// When there is no such path, or this user may not go there.
    pub fn of(path: &Path) -> io::Result<Self> {
        let found = statvfs(path)?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Ok(Self {
            total: bytes(found.f_blocks),
            used: bytes(found.f_blocks.saturating_sub(found.f_bfree)),
            free: bytes(found.f_bavail),
            inodes: found.f_files,
            inodes_free: found.f_favail,
        })
    }

    /// How much of the bytes is left, in percent.
    pub fn free_percent(self) -> u64 {
        percent(self.free, self.total)
    }

    /// How many of the inodes are left, in percent; 100 where there is no limit.
    pub fn inodes_percent(self) -> u64 {
        if self.inodes == 0 { 100 } else { percent(self.inodes_free, self.inodes) }
    }
}

fn percent(part: u64, of: u64) -> u64 {
    u128::from(part)
        .saturating_mul(100)
        .checked_div(u128::from(of))
        .map_or(0, |percent| percent.min(100) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_are_whole_and_bounded() {
        let space = |free, total, inodes_free, inodes| Space { total, used: 0, free, inodes, inodes_free };
        assert_eq!(space(u64::MAX / 2, u64::MAX, 0, 0).free_percent(), 49);
        assert_eq!(space(0, 0, 0, 0).free_percent(), 0);
        assert_eq!(space(0, 0, 0, 0).inodes_percent(), 100);
        assert_eq!(space(0, 0, 1, 4).inodes_percent(), 25);
    }

    #[test]
    fn a_file_system_tells_its_room() {
        let space = Space::of(Path::new("/")).unwrap();
        assert!(space.used > 0 && space.used + space.free <= space.total);
        assert!(Space::of(Path::new("/nowhere/at/all")).is_err());
    }
}
