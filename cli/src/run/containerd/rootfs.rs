//! A small file of an image, read from the layers of its snapshot as overlayfs would show it, without mounting anything.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, fgetxattr, open, openat2, statat};
use rustix::io::Errno;

use crate::engine::containerd::Mount;

/// A longer file of users is somebody's joke.
const LONGEST: u64 = 4 << 20;

/// What the file of this name in `/etc` says; empty where there is none.
///
/// # Errors
/// When the layers cannot be seen from here, or it is not a plain file: a link could lead out of the image.
pub(super) fn etc(mounts: &[Mount], name: &str) -> io::Result<String> {
    for layer in layers(mounts) {
        let layer = open(&layer, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let etc = match look(&layer, "etc")? {
            None => continue,
            Some(FileType::Directory) => below(&layer, "etc", OFlags::DIRECTORY)?,
            Some(REMOVED) => break,
            Some(_) => return Err(io::Error::other("/etc is no directory")),
        };
        match look(&etc, name)? {
            None if is_opaque(&etc) => break,
            None => {}
            Some(REMOVED) => break,
            Some(FileType::RegularFile) => {
                let (file, mut text) = (below(&etc, name, OFlags::empty())?, String::new());
                File::from(file).take(LONGEST).read_to_string(&mut text)?;
                return Ok(text);
            }
            Some(_) => return Err(io::Error::other(format!("/etc/{name} is no plain file"))),
        }
    }
    Ok(String::new())
}

/// What stands where a layer removed what is below (the kernel's Documentation/filesystems/overlayfs.rst).
const REMOVED: FileType = FileType::CharacterDevice;

/// The directories that a snapshot is made of, the topmost first.
fn layers(mounts: &[Mount]) -> Vec<PathBuf> {
    let Some(mount) = mounts.first() else { return Vec::new() };
    if mount.kind != "overlay" {
        return vec![mount.source.clone().into()];
    }
    let option =
        |name: &str| mount.options.iter().find_map(|option| option.strip_prefix(name)?.strip_prefix('='));
    let lower = option("lowerdir").into_iter().flat_map(|lower| lower.split(':'));
    option("upperdir").into_iter().chain(lower).map(PathBuf::from).collect()
}

fn look(directory: &OwnedFd, name: &str) -> io::Result<Option<FileType>> {
    match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
        Err(Errno::NOENT) => Ok(None),
        Err(refused) => Err(refused.into()),
    }
}

fn below(directory: &OwnedFd, name: &str, flags: OFlags) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    Ok(openat2(directory, name, OFlags::RDONLY | OFlags::CLOEXEC | flags, Mode::empty(), resolve)?)
}

/// Whether this directory hides those below it.
fn is_opaque(directory: &OwnedFd) -> bool {
    let mut value = [0; 1];
    fgetxattr(directory, "trusted.overlay.opaque", &mut value).is_ok_and(|length| value[..length] == *b"y")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;

    fn overlay(layers: &[&Path]) -> Vec<Mount> {
        let [upper, lower @ ..] = layers else { return Vec::new() };
        let lower: Vec<_> = lower.iter().map(|layer| layer.display().to_string()).collect();
        let options = vec![format!("lowerdir={}", lower.join(":")), format!("upperdir={}", upper.display())];
        vec![Mount { kind: "overlay".into(), options, ..Mount::default() }]
    }

    #[test]
    fn the_topmost_file_counts_and_links_lead_nowhere() {
        let place = tempfile::tempdir().unwrap();
        let [top, middle, base] = ["top", "middle", "base"].map(|name| place.path().join(name));
        for layer in [&middle, &base] {
            fs::create_dir_all(layer.join("etc")).unwrap();
        }
        fs::create_dir(&top).unwrap();
        fs::write(base.join("etc/passwd"), "base").unwrap();
        fs::write(middle.join("etc/passwd"), "middle").unwrap();
        fs::write(base.join("etc/group"), "base").unwrap();
        let mounts = overlay(&[&top, &middle, &base]);
        assert_eq!(etc(&mounts, "passwd").unwrap(), "middle");
        assert_eq!(etc(&mounts, "group").unwrap(), "base");
        assert_eq!(etc(&mounts, "shadow").unwrap(), "");
        let bind = Mount { kind: "bind".into(), source: base.display().to_string(), ..Mount::default() };
        assert_eq!(etc(&[bind], "passwd").unwrap(), "base");
        symlink("/etc/hostname", middle.join("etc/shadow")).unwrap();
        assert!(etc(&mounts, "shadow").is_err());
        assert!(etc(&overlay(&[&top, &place.path().join("unseen")]), "passwd").is_err());
    }
}
