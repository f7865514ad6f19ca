//! Mountpoints, made before the steps that need them start.

use std::ffi::OsString;
use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// As runc makes them (`createMountpoint` in `libcontainer/rootfs_linux.go`).
const MODE: u32 = 0o755;

/// Makes directories, which end with a slash, and empty files. What is there stays as it is.
///
/// What cannot be made is told and left: the step that needs it says what is wrong with it.
pub(super) fn make(mountpoints: impl Iterator<Item = OsString>) {
    for mountpoint in mountpoints {
        let path = Path::new(&mountpoint);
        let made = if mountpoint.as_bytes().ends_with(b"/") { directory(path) } else { file(path) };
        if let Err(error) = made {
            eprintln!("ci-build: cannot make the mountpoint {}: {error}", path.display());
        }
    }
}

fn directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(MODE).create(path)
}

fn file(path: &Path) -> io::Result<()> {
    directory(path.parent().unwrap_or(path))?;
    OpenOptions::new().create(true).append(true).mode(MODE).open(path).map(drop)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::thread;

    use super::*;

    #[test]
    fn what_is_there_stays_and_many_may_make_it_at_once() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name).into_os_string();
        fs::write(path("there"), "text").unwrap();
        let all = || ["a/b/c/", "a/b/file", "there"].map(path).into_iter();
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..100).for_each(|_| make(all())));
            }
        });
        assert!(fs::metadata(path("a/b/c")).unwrap().is_dir());
        assert_eq!(fs::read(path("a/b/file")).unwrap(), b"");
        assert_eq!(fs::read(path("there")).unwrap(), b"text");
    }

    #[test]
    fn what_cannot_be_made_stops_nobody() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name).into_os_string();
        fs::write(path("file"), "").unwrap();
        make(["file/below/", "file/below", "other/"].map(path).into_iter());
        assert!(fs::metadata(path("other")).unwrap().is_dir());
    }
}
