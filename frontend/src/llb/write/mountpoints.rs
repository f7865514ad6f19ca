//! The mountpoints that steps need inside a cache.

use std::collections::BTreeMap;

use crate::llb::message::{self, Mount};

/// What a runtime makes for a mount: a directory, or an empty file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File,
}

/// A path as its parts.
pub(super) type Path<'a> = Vec<&'a str>;

/// The mountpoints inside a cache by their paths in it.
pub(super) type Mountpoints<'a> = BTreeMap<Path<'a>, Kind>;

/// For each mount of a step the one that its mountpoint lies in, and where in it. None for the root, for a relative target,
/// and where two mounts have one target.
pub(super) fn enclosing(mounts: &[Mount]) -> Vec<Option<(usize, Path<'_>)>> {
    let paths: Vec<_> = mounts.iter().map(|mount| path(&mount.dest)).collect();
    let mut places: Vec<_> = (0..mounts.len()).filter(|place| paths[*place].is_some()).collect();
    places.sort_by_key(|place| &paths[*place]);
    let mut enclosing = vec![None; mounts.len()];
    let mut open: Vec<(usize, &Path<'_>)> = Vec::new();
    for place in places {
        let Some(path) = &paths[place] else { continue };
        while open.pop_if(|(_, outer)| outer.len() >= path.len() || !path.starts_with(outer)).is_some() {}
        enclosing[place] = open.last().map(|(outer, at)| (*outer, path[at.len()..].to_vec()));
        open.push((place, path));
    }
    enclosing
}

/// An absolute path as its parts.
fn path(target: &str) -> Option<Path<'_>> {
    let mut path = Vec::new();
    for part in target.strip_prefix('/')?.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(path.pop()),
            part => path.push(part),
        }
    }
    Some(path)
}

/// What the mountpoint of a mount is. None for part of a result, which may be either.
pub(super) fn kind(mount: &Mount) -> Option<Kind> {
    match mount.mount_type {
        message::MOUNT_TYPE_CACHE | message::MOUNT_TYPE_TMPFS => Some(Kind::Directory),
        message::MOUNT_TYPE_SECRET | message::MOUNT_TYPE_SSH => Some(Kind::File),
        message::MOUNT_TYPE_BIND
            if path(&format!("/{}", mount.selector)).is_some_and(|path| path.is_empty()) =>
        {
            Some(Kind::Directory)
        }
        _ => None,
    }
}

/// Without those that lie on the way to another one: whoever makes that makes them too.
pub(super) fn keep_innermost(mountpoints: &mut Mountpoints<'_>) {
    let paths: Vec<_> = mountpoints.keys().cloned().collect();
    for pair in paths.windows(2) {
        if let [outer, inner] = pair
            && inner.starts_with(outer)
        {
            mountpoints.remove(outer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounts(targets: &[&str]) -> Vec<Mount> {
        targets.iter().map(|target| Mount { dest: (*target).to_owned(), ..Mount::default() }).collect()
    }

    #[test]
    fn a_mountpoint_lies_in_the_innermost_mount_around_it() {
        let mounts = mounts(&["/", "/c/x/../x/y/z/", "/c/x", "/cc", "/c", "relative", "/c/", "/c/x/y"]);
        let of =
            |place: usize| enclosing(&mounts)[place].clone().map(|(outer, path)| (outer, path.join("/")));
        assert_eq!(of(0), None);
        assert_eq!(of(1), Some((7, "z".to_owned())));
        assert_eq!(of(3), Some((0, "cc".to_owned())));
        assert_eq!(of(4), Some((0, "c".to_owned())));
        assert_eq!(of(5), None);
        assert_eq!(of(7), Some((2, "y".to_owned())));
    }

    #[test]
    fn what_lies_on_the_way_is_not_made_by_itself() {
        let path = |path| super::path(path).unwrap();
        let paths = ["/a", "/a/b", "/a-", "/a/b/c", "/b"].map(|text| (path(text), Kind::Directory));
        let mut mountpoints = Mountpoints::from(paths);
        keep_innermost(&mut mountpoints);
        let left: Vec<_> = mountpoints.keys().map(|path| path.join("/")).collect();
        assert_eq!(left, ["a/b/c", "a-", "b"]);
    }
}
