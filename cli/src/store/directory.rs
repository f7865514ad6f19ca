//! Directories of locks and records. Everything below the state directory is opened relative to an open
//! directory, by names of one component, and never through a symbolic link.

use std::borrow::Borrow;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::error::Error;
use super::file_system;
use super::place::{self, Access};

/// The most that a record may have, in bytes. Whoever writes more is not us.
const LONGEST_RECORD: u64 = 64 * 1024;

/// A file that has been written for so long, in seconds, is nobody's any more: writing one takes milliseconds.
const ABANDONED: i64 = 3600;

/// How a directory is opened: never through a link.
const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// An open directory of ours.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) fd: OwnedFd,
    path: PathBuf,
    access: Access,
}

impl Directory {
    /// Opens the state directory, and makes it where it is missing.
    ///
    /// # Errors
    /// When it cannot be made, others could change what is in it, or flock is emulated there.
    pub(super) fn state(path: &Path) -> Result<Self, Error> {
        let open = || fs::open(path, DIRECTORY, Mode::empty());
        let fd = match open() {
            Err(Errno::NOENT) => {
                place::make(path)?;
                open()
            }
            opened => opened,
        };
        Self::of_state(fd, path)
    }

    /// Opens the state directory where there is one, and makes nothing.
    ///
    /// # Errors
    /// As [`Directory::state`].
    pub(super) fn state_if_there(path: &Path) -> Result<Option<Self>, Error> {
        match fs::open(path, DIRECTORY, Mode::empty()) {
            Err(Errno::NOENT) => Ok(None),
            opened => Self::of_state(opened, path).map(Some),
        }
    }

    fn of_state(opened: Result<OwnedFd, Errno>, path: &Path) -> Result<Self, Error> {
        let fd = opened.map_err(|source| Error::refused("open the state directory", path, source))?;
        let looked = |source| Error::refused("look at", path, source);
        let access = Access::of(&fd, path)?;
        let found = fs::fstatfs(&fd).map_err(looked)?;
        file_system::refuse_emulation(found.f_type as i64, file_system::is_emulation_allowed(), path)?;
        Ok(Self { fd, path: path.into(), access })
    }

    /// Opens a directory that somebody named, through links too, and makes it where it is missing. What is in it may be anybody's.
    pub(super) fn named(path: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(path).map_err(|source| Error::refused("make", path, source))?;
        let fd = fs::open(path, DIRECTORY.difference(OFlags::NOFOLLOW), Mode::empty());
        let fd = fd.map_err(|source| Error::refused("open", path, source))?;
        Ok(Self { fd, path: path.into(), access: Access::Owner })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its permission bits, and the number of its file system (statfs(2)).
    pub(super) fn look(&self) -> Result<(u32, i64), Error> {
        let refused = |source| Error::refused("look at", &self.path, source);
        let mode = fs::fstat(&self.fd).map_err(refused)?.st_mode;
        let kind = fs::fstatfs(&self.fd).map_err(refused)?.f_type;
        Ok((mode & 0o7777, kind as i64))
    }

    /// Opens the directory of this name in it, and makes it where it is missing.
    pub(super) fn directory(&self, name: &str) -> Result<Self, Error> {
        let path = self.path.join(name);
        let open = || fs::openat(&self.fd, name, DIRECTORY, Mode::empty());
        let fd = match open() {
            Err(Errno::NOENT) => {
                let mode = self.access.directory();
                match fs::mkdirat(&self.fd, name, mode) {
                    // The umask may have taken what the group needs.
                    Ok(()) => open().and_then(|fd| fs::fchmod(&fd, mode).map(|()| fd)),
                    Err(Errno::EXIST) => open(),
                    Err(refused) => return Err(Error::refused("make", path, refused)),
                }
            }
            opened => opened,
        };
        let fd = fd.map_err(|source| Error::refused("open", &path, source))?;
        Ok(Self { fd, path, access: self.access })
    }

    /// Opens the directory of this name in it, where there is one.
    pub(super) fn directory_if_there(&self, name: &str) -> Result<Option<Self>, Error> {
        let path = self.path.join(name);
        match fs::openat(&self.fd, name, DIRECTORY, Mode::empty()) {
            Ok(fd) => Ok(Some(Self { fd, path, access: self.access })),
            Err(Errno::NOENT) => Ok(None),
            Err(source) => Err(Error::refused("open", &path, source)),
        }
    }

    /// Opens the directory of this name in it, of this user alone whoever uses the state, and makes it where it is missing.
    ///
    /// # Errors
    /// When it cannot be made, is another user's, or others may put something in it.
    pub(super) fn private(&self, name: &str) -> Result<Self, Error> {
        let path = self.path.join(name);
        match fs::mkdirat(&self.fd, name, Access::Owner.directory()) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(source) => return Err(Error::refused("make", &path, source)),
        }
        let opened = fs::openat(&self.fd, name, DIRECTORY, Mode::empty());
        let fd = opened.map_err(|source| Error::refused("open", &path, source))?;
        let found = fs::fstat(&fd).map_err(|source| Error::refused("look at", &path, source))?;
        let why = match () {
            () if found.st_uid != rustix::process::geteuid().as_raw() => "it belongs to another user",
            () if found.st_mode & 0o022 != 0 => "others may write to it",
            () => return Ok(Self { fd, path, access: Access::Owner }),
        };
        Err(Error::NotOurs { path, why })
    }

    /// Makes a directory under a name that nobody can guess.
    pub(super) fn new_directory(&self) -> Result<(String, Self), Error> {
        let name = unpredictable();
        let directory = self.directory(&name)?;
        Ok((name, directory))
    }

    /// Opens the lock file of this name. It is made where it is missing, and never deleted: whoever has a
    /// deleted one open would lock nothing.
    pub(super) fn lock_file(&self, name: &str) -> Result<File, Error> {
        loop {
            // flock asks for no right to write. A pipe would be waited for.
            match self.open(name, OFlags::RDONLY | OFlags::NONBLOCK).and_then(regular) {
                Err(Errno::NOENT) => match self.create(name) {
                    Err(Errno::EXIST) => {}
                    made => return made.map_err(|source| self.refused("make", name, source)),
                },
                opened => return opened.map_err(|source| self.refused("open", name, source)),
            }
        }
    }

    /// Opens a file of this name that lines are added to. One that is longer than this becomes `NAME.1` first.
    pub(super) fn growing_file(&self, name: &str, longest: u64) -> Result<File, Error> {
        let flags = OFlags::RDWR | OFlags::APPEND;
        loop {
            match self.open(name, flags) {
                Err(Errno::NOENT) => match self.create(name) {
                    // Not yet one that is added to.
                    Ok(_) | Err(Errno::EXIST) => {}
                    Err(source) => return Err(self.refused("make", name, source)),
                },
                Ok(file) => {
                    let length =
                        fs::fstat(&file).map_err(|source| self.refused("look at", name, source))?.st_size;
                    if u64::try_from(length).is_ok_and(|length| length <= longest) {
                        return Ok(file);
                    }
                    fs::renameat(&self.fd, name, &self.fd, format!("{name}.1"))
                        .map_err(|source| self.refused("rename", name, source))?;
                }
                Err(source) => return Err(self.refused("open", name, source)),
            }
        }
    }

    /// Makes a file with these bytes under a name that nobody can guess. `prepare` gets it before anybody else sees it; it is
    /// there as a whole or not at all.
    pub(super) fn add<T: Borrow<File>>(
        &self,
        bytes: &[u8],
        prepare: impl FnOnce(File) -> Result<T, Errno>,
    ) -> Result<(String, T), Error> {
        let name = unpredictable();
        let file = self.write(&name, bytes, prepare, false)?;
        Ok((name, file))
    }

    /// Gives the file of this name these bytes, whatever it had: readers see the old ones or the new ones.
    pub(super) fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        self.write(name, bytes, Ok, false).map(drop)
    }

    /// As [`Directory::replace`], on the disk, and the new file as it is then. `prepare` gets it before anybody else sees it.
    pub(super) fn put<T: Borrow<File>>(
        &self,
        name: &str,
        bytes: &[u8],
        prepare: impl FnOnce(File) -> Result<T, Errno>,
    ) -> Result<T, Error> {
        self.write(name, bytes, prepare, true)
    }

    fn write<T: Borrow<File>>(
        &self,
        name: &str,
        bytes: &[u8],
        prepare: impl FnOnce(File) -> Result<T, Errno>,
        is_synced: bool,
    ) -> Result<T, Error> {
        let hidden = format!(".{}", unpredictable());
        let file = self.create(&hidden).map_err(|source| self.refused("make", &hidden, source))?;
        let written = prepare(file).map_err(io::Error::from).and_then(|prepared| {
            let mut file: &File = prepared.borrow();
            file.write_all(bytes)?;
            if is_synced {
                file.sync_all()?;
            }
            fs::renameat(&self.fd, &hidden, &self.fd, name)?;
            Ok(prepared)
        });
        written.map_err(|source| {
            let _ = self.remove(&hidden);
            Error::refused("write", self.path.join(name), source)
        })
    }

    /// Opens a record to be read.
    pub(super) fn open_record(&self, name: &str) -> Result<File, Errno> {
        self.open(name, OFlags::RDONLY | OFlags::NONBLOCK)
    }

    /// Removes a file; one that is gone already is no error.
    pub(super) fn remove(&self, name: &str) -> Result<(), Error> {
        match fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(source) => Err(self.refused("remove", name, source)),
        }
    }

    /// Removes the directory of this name and the files in it. No link is followed; one with directories in it that are not empty stays.
    pub(super) fn remove_directory(&self, name: &str) -> Result<(), Error> {
        let refused = |source| self.refused("remove", name, source);
        if let Some(directory) = self.directory_if_there(name)? {
            for name in directory.entries()? {
                match fs::unlinkat(&directory.fd, &name, AtFlags::empty()) {
                    Ok(()) | Err(Errno::NOENT) => {}
                    Err(Errno::ISDIR) => {
                        fs::unlinkat(&directory.fd, &name, AtFlags::REMOVEDIR).map_err(refused)?;
                    }
                    Err(source) => return Err(refused(source)),
                }
            }
        }
        match fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(source) => Err(refused(source)),
        }
    }

    /// All names in it, as they come.
    pub(super) fn entries(&self) -> Result<Vec<OsString>, Error> {
        let refused = |source: Errno| Error::refused("list", &self.path, source);
        let entries = fs::Dir::read_from(&self.fd).map_err(refused)?;
        let names = entries
            .map(|entry| Ok(OsStr::from_bytes(entry.map_err(refused)?.file_name().to_bytes()).to_owned()));
        let names: Vec<OsString> = names.collect::<Result<_, _>>()?;
        Ok(names.into_iter().filter(|name| name != "." && name != "..").collect())
    }

    /// The names in it, in order, without those that are being written. What somebody was writing who was killed is removed.
    pub(super) fn names(&self) -> Result<Vec<String>, Error> {
        let refused = |source: Errno| Error::refused("list", &self.path, source);
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(&self.fd).map_err(refused)? {
            let name = entry.map_err(refused)?.file_name().to_string_lossy().into_owned();
            match name.strip_prefix('.') {
                None => names.push(name),
                Some(rest) if is_unpredictable(rest) => self.remove_abandoned(&name),
                Some(_) => {}
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// The names of what is being written, or was by somebody who was killed.
    pub(super) fn unfinished(&self) -> Result<Vec<String>, Error> {
        let names = self.entries()?.into_iter().map(|name| name.to_string_lossy().into_owned());
        Ok(names.filter(|name| name.starts_with('.')).collect())
    }

    /// Whoever may not remove it leaves it to those who may.
    fn remove_abandoned(&self, hidden: &str) {
        let Ok(found) = fs::statat(&self.fd, hidden, AtFlags::SYMLINK_NOFOLLOW) else { return };
        let now = Timestamp::now().as_second();
        if now.saturating_sub(found.st_mtime) > ABANDONED {
            let _ = self.remove(hidden);
        }
    }

    /// Lets what was added survive a crash.
    pub(super) fn sync(&self, file: &File) -> Result<(), Error> {
        file.sync_all()
            .and_then(|()| Ok(fs::fsync(&self.fd)?))
            .map_err(|source| Error::refused("sync", &self.path, source))
    }

    pub(super) fn open(&self, name: &str, flags: OFlags) -> Result<File, Errno> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(fs::openat(&self.fd, name, flags, Mode::empty())?.into())
    }

    pub(super) fn create(&self, name: &str) -> Result<File, Errno> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = self.access.file();
        let fd = fs::openat(&self.fd, name, flags, mode)?;
        // The umask may have taken what the group needs.
        if self.access == Access::Group {
            fs::fchmod(&fd, mode)?;
        }
        Ok(fd.into())
    }

    pub(super) fn refused(&self, task: &'static str, name: &str, source: Errno) -> Error {
        Error::refused(task, self.path.join(name), source)
    }
}

/// A file that is one, not a pipe or a device.
fn regular(file: File) -> Result<File, Errno> {
    let kind = FileType::from_raw_mode(fs::fstat(&file)?.st_mode);
    if kind.is_file() { Ok(file) } else { Err(Errno::INVAL) }
}

/// What a record says, if it is text of a size that we would write.
pub(super) fn read_record(file: &File) -> Option<String> {
    let mut text = String::new();
    file.take(LONGEST_RECORD).read_to_string(&mut text).ok()?;
    Some(text)
}

/// 16 hexadecimal digits from the system's randomness, which seeds the hasher.
pub(super) fn unpredictable() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

/// Whether a name may be one of these.
pub(crate) fn is_unpredictable(name: &str) -> bool {
    name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_there_as_a_whole_or_not_at_all() {
        let place = tempfile::tempdir().unwrap();
        let directory = Directory::state(&place.path().join("state")).unwrap();
        let (name, _) = directory.add(b"text", Ok).unwrap();
        let full = directory.add(b"text", |_| Err::<File, _>(Errno::NOSPC));
        assert!(full.unwrap_err().is_full_disk());
        assert_eq!(directory.names().unwrap(), [name.as_str()]);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        assert_eq!(read_record(&directory.open_record(&name).unwrap()).unwrap(), "text");
    }

    #[test]
    fn what_somebody_was_writing_who_was_killed_is_removed() {
        let place = tempfile::tempdir().unwrap();
        let directory = Directory::state(&place.path().join("state")).unwrap();
        let path = |name: &str| directory.path().join(name);
        for name in [".0123456789abcdef", ".fedcba9876543210", ".lock"] {
            std::fs::write(path(name), "{").unwrap();
        }
        let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(2 * 3600);
        for name in [".0123456789abcdef", ".lock"] {
            File::options().write(true).open(path(name)).unwrap().set_modified(long_ago).unwrap();
        }
        assert_eq!(directory.names().unwrap(), [""; 0]);
        assert!(!path(".0123456789abcdef").exists(), "abandoned");
        assert!(path(".fedcba9876543210").exists(), "somebody may be at it");
        assert!(path(".lock").exists(), "no record");
    }

    #[test]
    fn looking_makes_nothing() {
        let place = tempfile::tempdir().unwrap();
        let state = place.path().join("state");
        assert!(Directory::state_if_there(&state).unwrap().is_none());
        let directory = Directory::state(&state).unwrap();
        assert!(directory.directory_if_there("store").unwrap().is_none());
        assert_eq!(std::fs::read_dir(&state).unwrap().count(), 0);
    }
}
