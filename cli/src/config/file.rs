//! Which files are in force, and their text.

use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::io::Errno;

use super::{Error, File, HOST, LARGEST, NAME, Trust};

/// The host's file, and over it what `CI_BUILD_CONFIG` names, else the project's.
pub(super) fn of_this_process() -> Result<Vec<File>, Error> {
    let mut files = Vec::new();
    files.extend(read(Path::new(HOST), Trust::Host)?);
    match std::env::var_os("CI_BUILD_CONFIG") {
        Some(path) => files.extend(named(path)?),
        // Who stands in a directory that is gone has no project.
        None => {
            let path = std::env::current_dir().ok().and_then(|directory| of_project(&directory));
            if let Some(path) = path {
                files.extend(read(&path, Trust::Project)?);
            }
        }
    }
    Ok(files)
}

/// A file that somebody named is there, or that is an error.
fn named(path: OsString) -> Result<Option<File>, Error> {
    if path.is_empty() {
        return Ok(None);
    }
    let path = PathBuf::from(path);
    match read(&path, Trust::Host)? {
        Some(file) => Ok(Some(file)),
        None => Err(Error::unreadable(&path, Errno::NOENT)),
    }
}

/// The nearest file from here up to the root of the checkout, where `.git` is. Outside of a checkout only the directory
/// itself counts: above it may be anybody's, such as `/tmp`.
fn of_project(directory: &Path) -> Option<PathBuf> {
    let is_there = |path: &Path| std::fs::symlink_metadata(path).is_ok();
    let here = directory.join(NAME);
    let mut nearest = is_there(&here).then(|| here.clone());
    let own = nearest.clone();
    for directory in directory.ancestors() {
        nearest = nearest.or_else(|| Some(directory.join(NAME)).filter(|path| is_there(path)));
        if is_there(&directory.join(".git")) {
            return nearest;
        }
    }
    own
}

/// The file's text; none where there is no such file.
///
/// A project's file is no link, which could lead to what only its reader may see. Nothing that is no file is waited for.
pub(super) fn read(path: &Path, trust: Trust) -> Result<Option<File>, Error> {
    let follow = if trust == Trust::Project { OFlags::NOFOLLOW } else { OFlags::empty() };
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | follow;
    let unfit = |what| Error::Unfit { path: path.into(), what };
    let fd = match open(path, flags, Mode::empty()) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(Errno::LOOP) => return Err(unfit("a symbolic link")),
        opened => opened.map_err(|source| Error::unreadable(path, source))?,
    };
    let found = fstat(&fd).map_err(|source| Error::unreadable(path, source))?;
    if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
        return Err(unfit("not a file"));
    }
    let mut bytes = Vec::new();
    let read = std::fs::File::from(fd).take(LARGEST + 1).read_to_end(&mut bytes);
    read.map_err(|source| Error::unreadable(path, source))?;
    if bytes.len() as u64 > LARGEST {
        return Err(unfit("larger than 1 MiB"));
    }
    let text = String::from_utf8(bytes).map_err(|_| unfit("not text"))?;
    Ok(Some(File { path: path.into(), trust, text }))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_nearest_file_of_the_checkout_counts_and_none_above_it() {
        let outside = tempfile::tempdir().unwrap();
        let root = outside.path().join("checkout");
        let deep = root.join("a/b");
        std::fs::create_dir_all(&deep).unwrap();
        let touch = |path: PathBuf| std::fs::write(path, "").unwrap();
        touch(outside.path().join(NAME));
        assert_eq!(of_project(&deep), None, "no checkout, and nothing here");
        std::fs::create_dir(root.join(".git")).unwrap();
        assert_eq!(of_project(&deep), None, "what is above the checkout is not the project's");
        touch(root.join(NAME));
        assert_eq!(of_project(&deep), Some(root.join(NAME)));
        assert_eq!(of_project(&root), Some(root.join(NAME)));
        touch(root.join("a").join(NAME));
        assert_eq!(of_project(&deep), Some(root.join("a").join(NAME)));
        assert_eq!(of_project(outside.path()), Some(outside.path().join(NAME)));
    }

    #[test]
    fn what_is_no_file_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let what = |name: &str, trust| match read(&path(name), trust) {
            Err(Error::Unfit { what, .. }) => what,
            read => panic!("{read:?}"),
        };
        assert_eq!(read(&path("absent"), Trust::Project).unwrap(), None);
        std::fs::write(path("file"), "[lock]\n").unwrap();
        symlink(path("file"), path("link")).unwrap();
        assert_eq!(read(&path("link"), Trust::Host).unwrap().unwrap().text, "[lock]\n");
        assert_eq!(what("link", Trust::Project), "a symbolic link");
        // It would be waited for for ever.
        rustix::fs::mkfifoat(rustix::fs::CWD, path("pipe"), Mode::RUSR).unwrap();
        assert_eq!(what("pipe", Trust::Project), "not a file");
        assert_eq!(what("", Trust::Project), "not a file");
        std::fs::write(path("binary"), b"\xff").unwrap();
        assert_eq!(what("binary", Trust::Project), "not text");
        std::fs::File::create(path("huge")).unwrap().set_len(LARGEST + 1).unwrap();
        assert_eq!(what("huge", Trust::Project), "larger than 1 MiB");
    }
}
