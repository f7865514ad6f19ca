//! How full the engine's disk may be.

use crate::disk::Space;

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

/// What a disk has too little of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pressure {
    bytes: bool,
    inodes: bool,
}

impl Limits {
    /// What room has to be made of.
    pub fn pressure(&self, space: Space) -> Pressure {
        above(space, self.high, self.inodes_high)
    }

    /// Whether what there was too little of is there again. Of the other no room is made, however much of it is used.
    pub fn is_relieved(&self, pressure: Pressure, space: Space) -> bool {
        let above = above(space, self.low, self.inodes_low);
        !(pressure.bytes && above.bytes || pressure.inodes && above.inodes)
    }
}

impl Pressure {
    /// Whether there is too little of anything.
    pub fn is_any(self) -> bool {
        self.bytes || self.inodes
    }
}

/// How much of the bytes is used, in percent, rounded up as df(1) does: of those that are not root's alone.
pub(super) fn used_percent(space: Space) -> u8 {
    percent(space.used, space.free)
}

/// How many of the inodes are used, in percent, rounded up; 0 where the file system makes them as needed.
pub(super) fn inodes_used_percent(space: Space) -> u8 {
    percent(inodes_used(space), space.inodes_free)
}

fn above(space: Space, bytes: u8, inodes: u8) -> Pressure {
    Pressure {
        bytes: exceeds(space.used, space.free, bytes),
        inodes: exceeds(inodes_used(space), space.inodes_free, inodes),
    }
}

fn inodes_used(space: Space) -> u64 {
    space.inodes.saturating_sub(space.inodes_free)
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
        // A fifth is root's alone.
        let space = |used: u64, inodes_used: u64| Space {
            total: 125,
            used,
            free: 100 - used,
            inodes: 100,
            inodes_free: 100 - inodes_used,
        };
        assert!(!limits.pressure(space(70, 90)).is_any(), "up to the limit is fine");
        let (bytes, inodes) = (limits.pressure(space(71, 90)), limits.pressure(space(70, 91)));
        assert_eq!(bytes, Pressure { bytes: true, inodes: false });
        assert_eq!(inodes, Pressure { bytes: false, inodes: true });
        assert!(!limits.is_relieved(bytes, space(61, 80)) && limits.is_relieved(bytes, space(60, 90)));
        assert!(!limits.is_relieved(inodes, space(60, 81)) && limits.is_relieved(inodes, space(70, 80)));
        let both = limits.pressure(space(71, 91));
        assert!(!limits.is_relieved(both, space(61, 80)) && !limits.is_relieved(both, space(60, 81)));
        assert!(limits.is_relieved(both, space(60, 80)));
        let without_inodes = Space { total: 200, used: 1, free: 199, inodes: 0, inodes_free: 0 };
        assert!(!limits.pressure(without_inodes).is_any());
        assert_eq!((used_percent(without_inodes), inodes_used_percent(without_inodes)), (1, 0));
        assert_eq!((used_percent(space(71, 0)), inodes_used_percent(space(0, 7))), (71, 7));
    }
}
