//! A new text in the place of a file, whole or not at all.
//!
//! The new file is written beside the old one and renamed over it, as `sed -i` does, so that nobody ever reads half of it and a
//! full disk leaves the old one. In all else it behaves as `>` and rustfmt do, which people know: a symbolic link stays and what
//! it leads to is written, the mode and the owner stay, and who may not write the file may not replace it either. Two things
//! cannot be had together with the rename: the directory has to be writable, and other hard links keep the old text.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use crate::error::{Blame, Explain};

/// The text cannot be put where it was asked for.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReplaceError {
    #[error("cannot write '{}'", path.display())]
    Unwritable { path: PathBuf, source: io::Error },
    #[error("cannot make a new file in '{}'", directory.display())]
    Directory { directory: PathBuf, source: io::Error },
    #[error("'{}' is a link that others can change", link.display())]
    Link { link: PathBuf },
}

impl Explain for ReplaceError {
    fn blame(&self) -> Blame {
        match self {
            Self::Link { .. } => Blame::Input,
            Self::Unwritable { .. } | Self::Directory { .. } => Blame::Surroundings,
        }
    }

    fn help(&self) -> Vec<String> {
        match self {
            Self::Unwritable { .. } => Vec::new(),
            Self::Directory { source, .. } if source.kind() == io::ErrorKind::NotFound => Vec::new(),
            Self::Directory { .. } => {
                vec!["a file is replaced as a whole, so its directory has to be writable".into()]
            }
            Self::Link { .. } => vec!["name the file that it leads to".into()],
        }
    }
}

/// Writes `text` to the file at `path`, which may be there or not. After a crash of the machine there is the old text or the
/// new one.
pub(super) fn replace(path: &Path, text: &[u8]) -> Result<(), ReplaceError> {
    let unwritable = |source| ReplaceError::Unwritable { path: path.to_owned(), source };
    let path = follow(path)?;
    let old = match OpenOptions::new().write(true).open(&path) {
        Ok(mut file) => {
            let old = file.metadata().map_err(unwritable)?;
            if !old.is_file() {
                // A terminal, a pipe: there is nothing to replace.
                return file.write_all(text).map_err(unwritable);
            }
            Some(old)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(unwritable(error)),
    };
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Without the name that we made up, which tells nobody anything.
    let in_directory = |error: io::Error| ReplaceError::Directory {
        directory: directory.to_owned(),
        source: error.kind().into(),
    };
    let mut prefix = OsString::from(".");
    prefix.push(path.file_name().unwrap_or_default());
    prefix.push(".");
    // With a random name, opened only if there is none of that name; removed where anything below fails.
    let mut new = tempfile::Builder::new()
        .prefix(&prefix)
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory)
        .map_err(in_directory)?;
    new.as_file_mut().write_all(text).map_err(unwritable)?;
    if let Some(old) = old {
        keep(new.as_file(), &old).map_err(unwritable)?;
    }
    new.as_file().sync_all().map_err(unwritable)?;
    new.persist(&path).map_err(|error| unwritable(error.error))?;
    // The name is on the disk only then. Not every file system can be asked for it.
    let _ = File::open(directory).and_then(|directory| directory.sync_all());
    Ok(())
}

/// Gives the new file the old one's owner and mode.
fn keep(new: &File, old: &Metadata) -> io::Result<()> {
    let now = new.metadata()?;
    if (now.uid(), now.gid()) != (old.uid(), old.gid()) {
        // Only root may give files away; without that it is ours, as with sed.
        let _ = fchown(new, Some(old.uid()), Some(old.gid()));
    }
    new.set_permissions(old.permissions())
}

/// The file at the end of the links.
fn follow(path: &Path) -> Result<PathBuf, ReplaceError> {
    let mut path = path.to_owned();
    // As many as Linux follows.
    for _ in 0..40 {
        let Ok(found) = fs::symlink_metadata(&path) else { break };
        // What stands behind an open file is not what its link says.
        let leads_to = fs::metadata(&path).map(|found| found.file_type());
        let is_device =
            leads_to.is_ok_and(|kind| kind.is_fifo() || kind.is_char_device() || kind.is_socket());
        if !found.is_symlink() || is_device {
            return Ok(path);
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if fs::metadata(parent).is_ok_and(|directory| is_foreign(&found, &directory)) {
            return Err(ReplaceError::Link { link: path });
        }
        let target =
            fs::read_link(&path).map_err(|source| ReplaceError::Unwritable { path: path.clone(), source })?;
        path = parent.join(target);
    }
    Ok(path)
}

/// Whether somebody else can lead a link elsewhere: the rule of Linux' `protected_symlinks`, which does not see who reads
/// links, and also for directories without the sticky bit.
fn is_foreign(link: &Metadata, directory: &Metadata) -> bool {
    let is_sticky = directory.mode() & 0o1000 != 0;
    let is_ours = link.uid() == rustix::process::geteuid().as_raw() || link.uid() == directory.uid();
    directory.mode() & 0o002 != 0 && !(is_sticky && is_ours)
}
