//! Directories with many small files, half of them old.

use std::path::Path;

use anyhow::{Context, Result};
use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps, mkdirat, openat, utimensat};

/// How many files each directory has.
pub const EACH: u64 = 100;

/// Old enough for whoever asks for a week.
const OLD: Timestamps = Timestamps {
    last_access: Timespec { tv_sec: 1_000_000_000, tv_nsec: 0 },
    last_modification: Timespec { tv_sec: 1_000_000_000, tv_nsec: 0 },
};

/// Makes so many empty files, every second one old. What is there already is filled up.
///
/// # Errors
/// When one cannot be made.
pub fn make(tree: &Path, files: u64) -> Result<()> {
    std::fs::create_dir_all(tree).context("cannot create a directory")?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let root = rustix::fs::open(tree, flags, Mode::empty())?;
    for number in 0..files.div_ceil(EACH) {
        let name = format!("directory-{number}");
        let _ = mkdirat(&root, &name, Mode::RWXU);
        let directory = openat(&root, &name, flags, Mode::empty())?;
        for file in 0..EACH.min(files - number * EACH) {
            let name = format!("file-{file:04}.bin");
            openat(&directory, &name, OFlags::WRONLY | OFlags::CREATE, Mode::RUSR | Mode::WUSR)?;
            if file % 2 == 0 {
                utimensat(&directory, &name, &OLD, AtFlags::SYMLINK_NOFOLLOW)?;
            }
        }
    }
    Ok(())
}
