//! Symbolic links that nobody but this user and root can have made: only these lead to a directory that is swept.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::process::{getegid, geteuid};

/// As the kernel has it (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// An absolute path without its links. None where something is not there, or a link on the way could be another user's: it is, or one of
/// the directories that lead to it can be changed by others.
pub(super) fn resolve(path: &Path) -> Option<PathBuf> {
    let mut rest: VecDeque<OsString> = names(path);
    let mut resolved = PathBuf::from("/");
    // For each directory on the way, whether it and all above it are ours alone.
    let mut ours = vec![is_ours_alone(&std::fs::symlink_metadata("/").ok()?)];
    let mut links = 0;
    while let Some(name) = rest.pop_front() {
        if name == ".." {
            resolved.pop();
            ours.truncate(ours.len().saturating_sub(1).max(1));
            continue;
        }
        let next = resolved.join(&name);
        let found = std::fs::symlink_metadata(&next).ok()?;
        let is_ours = ours.last().copied().unwrap_or(false);
        if !found.is_symlink() {
            resolved = next;
            ours.push(is_ours && is_ours_alone(&found));
            continue;
        }
        links += 1;
        if links > MOST_LINKS || !is_ours || !is_trusted(found.uid()) {
            return None;
        }
        let target = std::fs::read_link(&next).ok()?;
        if target.is_absolute() {
            resolved = PathBuf::from("/");
            ours.truncate(1);
        }
        for name in names(&target).into_iter().rev() {
            rest.push_front(name);
        }
    }
    Some(resolved)
}

/// The names in a path, and `..`.
fn names(path: &Path) -> VecDeque<OsString> {
    let parts = path.components();
    let named = parts.filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    named.map(|part| part.as_os_str().to_owned()).collect()
}

fn is_trusted(user: u32) -> bool {
    user == 0 || user == geteuid().as_raw()
}

/// Whether nobody else can put a link there in the place of what is ours: in a directory such as /tmp nobody can.
fn is_ours_alone(directory: &Metadata) -> bool {
    let mode = directory.mode();
    let is_of_others = mode & 0o002 != 0 || (mode & 0o020 != 0 && directory.gid() != getegid().as_raw());
    is_trusted(directory.uid()) && (!is_of_others || mode & 0o1000 != 0)
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, create_dir, set_permissions};
    use std::os::unix::fs::{PermissionsExt as _, lchown, symlink};

    use super::*;

    /// Nobody's number, in the place of another user's.
    const ANOTHER: Option<u32> = Some(65534);

    #[test]
    fn links_of_this_user_are_followed_as_the_kernel_does() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path().canonicalize().unwrap();
        std::fs::create_dir_all(base.join("data/cache")).unwrap();
        create_dir(base.join("home")).unwrap();
        symlink("../data/./cache", base.join("home/relative")).unwrap();
        symlink(base.join("home/relative"), base.join("absolute")).unwrap();
        symlink("turn", base.join("turn")).unwrap();
        for name in ["home/relative", "absolute", "data/cache", "home/../data/cache"] {
            let path = base.join(name);
            assert_eq!(resolve(&path), Some(base.join("data/cache")), "{name}");
            assert_eq!(resolve(&path), path.canonicalize().ok(), "{name}");
        }
        assert_eq!(resolve(&base.join("absent")), None);
        assert_eq!(resolve(&base.join("turn")), None);
    }

    #[test]
    fn a_link_that_others_could_have_made_is_not_followed() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path().canonicalize().unwrap();
        create_dir(base.join("data")).unwrap();
        create_dir(base.join("open")).unwrap();
        symlink(base.join("data"), base.join("open/link")).unwrap();
        let link = base.join("open/link");
        for (mode, is_followed) in [(0o755, true), (0o777, false), (0o1777, true), (0o700, true)] {
            set_permissions(base.join("open"), Permissions::from_mode(mode)).unwrap();
            assert_eq!(resolve(&link).is_some(), is_followed, "{mode:o}");
        }
        // What follows is for root to try.
        if !geteuid().is_root() {
            return;
        }
        lchown(&link, ANOTHER, ANOTHER).unwrap();
        assert_eq!(resolve(&link), None, "another user's link");
        lchown(&link, Some(0), Some(0)).unwrap();
        assert_eq!(resolve(&link), Some(base.join("data")));
        lchown(base.join("open"), ANOTHER, ANOTHER).unwrap();
        assert_eq!(resolve(&link), None, "a link in another user's directory");
    }
}
