//! What the file system of the state directory means for locks.

use std::path::Path;

use super::error::Error;
use crate::switch;

/// File systems by their numbers (statfs(2)).
const NAMES: [(i64, &str); 11] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0xef53, "ext4"),
    (0x5846_5342, "xfs"),
    (0x9123_683e, "btrfs"),
    (0x2fc1_2fc1, "zfs"),
    (0xf2f5_2010, "f2fs"),
    (TMPFS, "tmpfs"),
    (OVERLAY, "overlay"),
];

/// Those that emulate flock by byte ranges, which are not inherited and end with any close (flock(2)).
const EMULATING: [&str; 4] = ["NFS", "SMB", "CIFS", "SMB2"];

/// Its files are gone with the next boot.
const TMPFS: i64 = 0x0102_1994;
/// The root of a container, which nobody else sees.
const OVERLAY: i64 = 0x794c_7630;

/// What it is called, where it is known.
pub(super) fn name(number: i64) -> Option<&'static str> {
    // Numbers of 32 bits, which are negative where the field is signed.
    NAMES.iter().find(|(known, _)| *known == number & 0xffff_ffff).map(|(_, name)| *name)
}

/// Refuses a directory where a lock could be lost without a word. `number` is that of its file system.
pub(super) fn refuse_emulation(number: i64, is_allowed: bool, path: &Path) -> Result<(), Error> {
    match name(number).filter(|name| EMULATING.contains(name)) {
        Some(kind) if !is_allowed => Err(Error::Emulated { path: path.into(), kind }),
        _ => Ok(()),
    }
}

pub(super) fn is_emulation_allowed() -> bool {
    std::env::var("CI_BUILD_ALLOW_NFS").is_ok_and(|value| switch::parse(&value) == Ok(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_flock_is_emulated_is_no_place_for_locks() {
        let at = |number, is_allowed| refuse_emulation(number, is_allowed, Path::new("/net/state"));
        insta::assert_snapshot!(crate::error::Failure::from(at(0x6969, false).unwrap_err()), @r"
        error: the state directory '/net/state' is on NFS, where flock is only emulated
          help: name a directory on a local disk with CI_BUILD_STATE_DIR
          help: CI_BUILD_ALLOW_NFS=1 takes it all the same: a lock may then be lost without a word
        ");
        assert!(at(0x6969, true).is_ok());
        assert!(at(0xef53, false).is_ok(), "ext4");
        assert!(at(i64::from(0xff53_4d42_u32.cast_signed()), false).is_err(), "CIFS, signed");
        assert!(at(0x1234, false).is_ok(), "unknown");
    }
}
