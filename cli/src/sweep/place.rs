//! The directory that is swept, and the only way into what is below it: by open directories, one name at a time, never through
//! a symbolic link and never into another mount.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    self, AtFlags, FlockOperation, Mode, OFlags, ResolveFlags, Statx, StatxAttributes, StatxFlags,
};
use rustix::io::Errno;

use super::error::Error;
use super::refuse::{self, Allowed};
use super::tree::{Found, Kind, Marks};

/// How a directory is opened: to be listed, and not through a link.
const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// How a file is opened to be asked for its locks: not through a link, without waiting, and without a sign that it was read.
const FILE: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOATIME);

const INSIDE: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_XDEV);

/// What is asked of each file.
pub(super) const ASKED: StatxFlags = StatxFlags::BASIC_STATS;

/// A file system by its device, and a file there by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The device, major and minor.
    pub device: (u32, u32),
    /// The inode.
    pub inode: u64,
}

impl Key {
    /// Of what was looked at.
    pub fn of(stat: &Statx) -> Self {
        Self { device: (stat.stx_dev_major, stat.stx_dev_minor), inode: stat.stx_ino }
    }

    /// Of what a path leads to, through links too; none where that is nothing.
    pub fn at(path: &Path) -> Option<Self> {
        fs::statx(fs::CWD, path, AtFlags::empty(), StatxFlags::INO).ok().map(|stat| Self::of(&stat))
    }

    /// The device alone, as the name of a file.
    pub fn device_name(&self) -> String {
        format!("{}.{}", self.device.0, self.device.1)
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.device.0, self.device.1, self.inode)
    }
}

/// An open directory that may be swept.
#[derive(Debug)]
pub struct Place {
    fd: OwnedFd,
    path: PathBuf,
    key: Key,
    way: Way,
}

/// How the kernel is asked to stay inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It does so itself: openat2, since Linux 5.6.
    Kernel,
    /// We look after each step: where openat2 is missing, or a container's filter refuses it.
    Step,
}

impl Place {
    /// Opens a directory that is to be swept.
    ///
    /// # Errors
    /// When it is none, a link leads there, or it is one that is not to be swept; the error says what to do.
    pub fn open(path: &Path, allowed: Allowed) -> Result<Self, Error> {
        let path = absolute(path)?;
        let refused = |source: Errno| Error::open(&path, source);
        let way = Way::of_this_kernel();
        let fd = way.open_all(&path).map_err(refused)?;
        let stat = look(&fd).map_err(refused)?;
        let place = Self { key: Key::of(&stat), fd, path, way };
        refuse::judge(&place, &stat, allowed)?;
        Ok(place)
    }

    /// Its path, absolute and without links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Which directory it is, whatever its path.
    pub fn key(&self) -> Key {
        self.key
    }

    /// The directory itself, to be listed. Each has an offset of its own.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn root(&self) -> Result<OwnedFd, Errno> {
        self.directory(self.fd.as_fd(), c".")
    }

    /// Keeps other sweeps from the directory as long as this is open, whoever's they are and wherever their state lies: by flock, as
    /// systemd-tmpfiles does. False where somebody has it locked. Where its file system has no such locks, nobody is kept.
    pub fn lock(&self) -> bool {
        fs::flock(&self.fd, FlockOperation::NonBlockingLockExclusive) != Err(Errno::WOULDBLOCK)
    }

    /// What the kernel says of the directory itself.
    ///
    /// # Errors
    /// When it does not.
    pub fn stat(&self) -> Result<Statx, Errno> {
        look(&self.fd)
    }

    /// Opens a directory of this name.
    ///
    /// # Errors
    /// `XDEV` where something is mounted there, `LOOP` or `NOTDIR` where it is a link by now, else what the kernel says.
    pub fn directory(&self, parent: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
        // Only a file's owner may read it without a sign of that.
        match self.way.open(parent, name, DIRECTORY | OFlags::NOATIME) {
            Err(Errno::PERM) => self.way.open(parent, name, DIRECTORY),
            opened => opened,
        }
    }

    /// Opens the directory that these names lead to from an open one, many at once where the kernel looks after them.
    ///
    /// # Errors
    /// As [`Place::directory`].
    pub fn descend<'a>(
        &self,
        from: OwnedFd,
        names: impl Iterator<Item = &'a CStr>,
    ) -> Result<OwnedFd, Errno> {
        // The kernel takes paths of 4096 bytes (PATH_MAX), names of 255.
        const LONGEST: usize = 3800;
        let mut fd = from;
        let mut path: Vec<u8> = Vec::new();
        let step = |fd: OwnedFd, path: &mut Vec<u8>| {
            path.push(0);
            let opened = CStr::from_bytes_with_nul(path).map_err(|_| Errno::INVAL);
            let opened = opened.and_then(|path| self.directory(fd.as_fd(), path));
            path.clear();
            opened
        };
        for name in names {
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name.to_bytes());
            if self.way == Way::Step || path.len() > LONGEST {
                fd = step(fd, &mut path)?;
            }
        }
        if path.is_empty() { Ok(fd) } else { step(fd, &mut path) }
    }

    /// Opens a file of this name, only to ask for its locks.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn file(&self, parent: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
        match fs::openat(parent, name, FILE, Mode::empty()) {
            Err(Errno::PERM) => fs::openat(parent, name, FILE.difference(OFlags::NOATIME), Mode::empty()),
            opened => opened,
        }
    }
}

impl AsFd for Place {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Way {
    fn of_this_kernel() -> Self {
        match fs::openat2(fs::CWD, c"/", DIRECTORY, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
            Ok(_) => Self::Kernel,
            Err(_) => Self::Step,
        }
    }

    /// Opens one name.
    pub(super) fn open(self, parent: BorrowedFd<'_>, name: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
        match self {
            Self::Kernel => loop {
                // A rename while it looks: it looks again.
                match fs::openat2(parent, name, flags, Mode::empty(), INSIDE) {
                    Err(Errno::AGAIN) => {}
                    opened => return opened,
                }
            },
            Self::Step => {
                let fd = fs::openat(parent, name, flags, Mode::empty())?;
                let (outer, inner) = (look(parent)?, look(&fd)?);
                let is_other = Key::of(&outer).device != Key::of(&inner).device;
                let is_itself = outer.stx_ino == inner.stx_ino;
                if is_other || (is_mount(&inner) && !is_itself) { Err(Errno::XDEV) } else { Ok(fd) }
            }
        }
    }

    /// Opens an absolute path without links, mounts on the way allowed.
    fn open_all(self, path: &Path) -> Result<OwnedFd, Errno> {
        match self {
            Self::Kernel => {
                let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
                fs::openat2(fs::CWD, path, DIRECTORY, Mode::empty(), resolve)
            }
            Self::Step => {
                let root = fs::open("/", DIRECTORY, Mode::empty())?;
                let names = path.components().filter(|component| matches!(component, Component::Normal(_)));
                names
                    .into_iter()
                    .try_fold(root, |fd, name| fs::openat(&fd, name.as_os_str(), DIRECTORY, Mode::empty()))
            }
        }
    }
}

/// What is known of an open file.
pub(super) fn look(fd: impl AsFd) -> Result<Statx, Errno> {
    fs::statx(fd, c"", AtFlags::EMPTY_PATH, ASKED)
}

/// What is known of what has this name, a link itself if it is one.
pub(super) fn look_at(parent: BorrowedFd<'_>, name: &CStr) -> Result<Statx, Errno> {
    fs::statx(parent, name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT, ASKED)
}

/// Whether something is mounted there, also from the same file system.
pub(super) fn is_mount(stat: &Statx) -> bool {
    stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)
}

/// What a tree keeps of it.
pub(super) fn found(stat: &Statx, used: i64, marks: Marks) -> Found {
    Found {
        inode: stat.stx_ino,
        size: stat.stx_size,
        modified: super::clock::nanoseconds(&stat.stx_mtime),
        used,
        blocks: stat.stx_blocks,
        links: stat.stx_nlink,
        kind: Kind::from(fs::FileType::from_raw_mode(stat.stx_mode.into())),
        marks,
    }
}

/// Without `.` and `..`, which would be names of other directories where links are. No link is followed for it.
fn absolute(path: &Path) -> Result<PathBuf, Error> {
    let absolute = std::path::absolute(path).map_err(|source| Error::Open { path: path.into(), source })?;
    if absolute.components().any(|component| component == Component::ParentDir) {
        return Err(Error::Dots(path.into()));
    }
    // `components` drops what is doubled, and the slash at the end, which would follow a link.
    Ok(absolute.components().collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn neither_way_leads_through_a_link_or_out() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path().canonicalize().unwrap();
        std::fs::create_dir_all(base.join("tree/inside")).unwrap();
        std::fs::create_dir(base.join("outside")).unwrap();
        symlink("../outside", base.join("tree/link")).unwrap();
        symlink("tree", base.join("way")).unwrap();
        let tree = fs::open(base.join("tree"), DIRECTORY, Mode::empty()).unwrap();
        for way in [Way::Kernel, Way::Step] {
            let open = |name| way.open(tree.as_fd(), name, DIRECTORY).map(drop);
            assert_eq!(open(c"inside"), Ok(()));
            assert!(matches!(open(c"link"), Err(Errno::LOOP | Errno::NOTDIR)), "{way:?}");
            assert_eq!(open(c"nothing"), Err(Errno::NOENT));
            assert!(way.open_all(&base.join("tree/inside")).is_ok());
            assert!(way.open_all(&base.join("way/inside")).is_err(), "a link on the way");
            assert!(way.open_all(&base.join("way")).is_err(), "a link at the end");
        }
        assert!(
            matches!(Place::open(&base.join("tree/"), Allowed::default()), Ok(place) if place.path() == base.join("tree"))
        );
    }

    #[test]
    fn neither_way_leads_into_another_file_system() {
        let root = fs::open("/", DIRECTORY, Mode::empty()).unwrap();
        for way in [Way::Kernel, Way::Step] {
            assert_eq!(way.open(root.as_fd(), c"proc", DIRECTORY).map(drop), Err(Errno::XDEV), "{way:?}");
            assert!(way.open(root.as_fd(), c".", DIRECTORY).is_ok(), "{way:?}");
        }
    }

    #[test]
    fn a_link_is_refused_and_told_where_it_leads() {
        let base = tempfile::tempdir().unwrap();
        std::fs::create_dir(base.path().join("cache")).unwrap();
        symlink("cache", base.path().join("link")).unwrap();
        let error = Place::open(&base.path().join("link"), Allowed::default()).unwrap_err();
        let help = crate::error::Explain::help(&error);
        assert!(help[0].contains("name the directory itself") && help[0].ends_with("/cache'"), "{help:?}");
    }
}
