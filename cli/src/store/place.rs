//! Where the state lies, and who may use it.

use std::fs::DirBuilder;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{self, Mode};

use super::error::Error;

/// Where the state of a host lies: it outlives a reboot, as leases with a time do.
const HOST: &str = "/var/lib/ci-build";

/// Who may use the state directory, which the mode of the directory itself says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Owner,
    Group,
}

impl Access {
    /// What the mode of the directory at this path says.
    ///
    /// # Errors
    /// When others than those could change what is in it.
    pub(super) fn of(fd: &OwnedFd, path: &Path) -> Result<Self, Error> {
        let found = fs::fstat(fd).map_err(|source| Error::refused("look at", path, source))?;
        let unsafe_because = |why| Err(Error::Unsafe { path: path.into(), why });
        if found.st_uid != 0 && found.st_uid != rustix::process::geteuid().as_raw() {
            return unsafe_because("it belongs to another user than root and this one");
        }
        if found.st_mode & 0o002 != 0 {
            return unsafe_because("everybody may write to it");
        }
        Ok(if found.st_mode & 0o020 != 0 { Access::Group } else { Access::Owner })
    }

    /// The mode of a file.
    pub(super) fn file(self) -> Mode {
        Mode::from_raw_mode(if self == Self::Group { 0o660 } else { 0o600 })
    }

    /// The mode of a directory.
    pub(super) fn directory(self) -> Mode {
        Mode::from_raw_mode(if self == Self::Group { 0o2770 } else { 0o700 })
    }
}

/// The state directory of this process: `CI_BUILD_STATE_DIR`, else the host's, else, where that does not
/// exist and is not ours to make, the user's.
pub(super) fn place() -> Result<PathBuf, Error> {
    let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if let Some(path) = std::env::var_os("CI_BUILD_STATE_DIR").filter(|path| !path.is_empty()) {
        return std::path::absolute(&path).map_err(|source| Error::refused("find", path, source));
    }
    if rustix::process::geteuid().is_root() || fs::lstat(HOST).is_ok() {
        return Ok(HOST.into());
    }
    let state = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")));
    state.map(|state| state.join("ci-build")).ok_or(Error::NoPlace)
}

/// Makes the state directory, and those above it.
pub(super) fn make(path: &Path) -> Result<(), Error> {
    let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    match made.and_then(|()| DirBuilder::new().mode(0o700).create(path)) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(Error::refused("make the state directory", path, error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;
    use crate::store::directory::Directory;

    fn mode(path: &Path) -> u32 {
        std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn it_is_ours_alone_unless_its_mode_says_that_a_group_shares_it() {
        let place = tempfile::tempdir().unwrap();
        let own = place.path().join("a/own");
        let directory = Directory::state(&own).unwrap().directory("store").unwrap();
        directory.lock_file("lock").unwrap();
        assert_eq!(
            [&own, &own.join("store"), &own.join("store/lock")].map(|p| mode(p)),
            [0o700, 0o700, 0o600]
        );

        let group = place.path().join("group");
        std::fs::create_dir(&group).unwrap();
        std::fs::set_permissions(&group, Permissions::from_mode(0o2770)).unwrap();
        let directory = Directory::state(&group).unwrap().directory("store").unwrap();
        directory.lock_file("lock").unwrap();
        assert_eq!([&group.join("store"), &group.join("store/lock")].map(|p| mode(p)), [0o2770, 0o660]);
    }

    #[test]
    fn what_others_can_change_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let open = place.path().join("open");
        std::fs::create_dir(&open).unwrap();
        std::fs::set_permissions(&open, Permissions::from_mode(0o1777)).unwrap();
        assert!(matches!(Directory::state(&open), Err(Error::Unsafe { .. })));

        let target = place.path().join("target");
        let directory = Directory::state(&target).unwrap();
        symlink(&target, place.path().join("link")).unwrap();
        assert!(Directory::state(&place.path().join("link")).is_err());
        symlink("/etc/hostname", target.join("lock")).unwrap();
        assert!(directory.lock_file("lock").is_err());
        symlink("/etc", target.join("store")).unwrap();
        assert!(directory.directory("store").is_err());
    }
}
