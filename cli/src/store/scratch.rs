//! Files of one command that others read by their names: they go with it, and if it could not remove them, with the next.

use std::path::Path;

use super::directory::Directory;
use super::error::Error;
use super::flock::Locked;
use super::{Mode, Store};

/// A directory of ours alone, which goes with this value.
#[derive(Debug)]
pub struct Scratch {
    parent: Directory,
    name: String,
    directory: Directory,
    /// Locked for as long as somebody needs the directory.
    lock: Locked,
}

impl Store {
    /// Makes a directory for files, and removes what others left who were killed.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn scratch(&self) -> Result<Scratch, Error> {
        let parent = self.directory.directory("scratch")?;
        let path = parent.path().to_owned();
        let refused = |source| Error::refused("lock", &path, source);
        // For a moment: nobody is to remove what is not locked yet.
        let _gate = Locked::wait(parent.lock_file(".lock")?, Mode::Exclusive).map_err(refused)?;
        remove_left(&parent)?;
        let (name, directory) = parent.new_directory()?;
        let lock = Locked::new(directory.lock_file(".lock")?).map_err(refused)?;
        Ok(Scratch { parent, name, directory, lock })
    }
}

/// Removes what was left in a store by those who were killed, and tells how many directories that were. Where somebody
/// makes one, none.
pub(super) fn tidy(store: &Directory) -> Result<usize, Error> {
    let parent = store.directory("scratch")?;
    match Locked::at_once(parent.lock_file(".lock")?, Mode::Exclusive) {
        Ok(Ok(_gate)) => remove_left(&parent),
        _ => Ok(0),
    }
}

fn remove_left(parent: &Directory) -> Result<usize, Error> {
    Ok(parent.names()?.iter().filter(|name| remove_if_left(parent, name)).count())
}

/// What cannot be removed is tried again by the next.
fn remove_if_left(parent: &Directory, name: &str) -> bool {
    let Ok(directory) = parent.directory(name) else { return false };
    let Ok(lock) = directory.lock_file(".lock") else { return false };
    let Ok(Ok(_nobodys)) = Locked::at_once(lock, Mode::Exclusive) else { return false };
    parent.remove_directory(name).is_ok()
}

impl Scratch {
    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Lets the commands that are started from now on keep it, should we be killed.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn pass_on(&self) -> Result<(), Error> {
        self.lock.pass_on().map_err(|source| Error::refused("pass on", self.path(), source))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left is removed by the next.
        let _ = self.parent.remove_directory(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, Mode, mkfifoat};

    use super::super::Identity;
    use super::*;

    #[test]
    fn what_is_left_goes_with_the_next() {
        let state = tempfile::tempdir().unwrap();
        let store = Store::open_in(&state.path().join("state"), Identity::Named("x".into())).unwrap();
        let first = store.scratch().unwrap();
        std::fs::write(first.path().join("file"), "").unwrap();
        let mut left = store.scratch().unwrap();
        let path = left.path().to_owned();
        std::fs::write(path.join("file"), "").unwrap();
        // As if it were killed: the lock goes, and the files stay.
        left.lock = Locked::new(tempfile::tempfile().unwrap()).unwrap();
        std::mem::forget(left);
        let third = store.scratch().unwrap();
        assert!(!path.exists(), "nobody holds it");
        assert!(first.path().join("file").exists(), "somebody holds it");
        let paths = [first.path().to_owned(), third.path().to_owned()];
        drop((first, third));
        assert!(paths.iter().all(|path| !path.exists()));
    }

    #[test]
    fn nothing_of_others_goes_by_a_link() {
        let state = tempfile::tempdir().unwrap();
        let store = Store::open_in(&state.path().join("state"), Identity::Named("x".into())).unwrap();
        let scratch = store.scratch().unwrap();
        let (path, outside) = (scratch.path().to_owned(), state.path().join("outside"));
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("file"), "").unwrap();
        symlink(&outside, path.join("link")).unwrap();
        // Somebody who may write to the state puts another directory in the place of all of them, by a link.
        let (all, aside) = (path.parent().unwrap(), state.path().join("aside"));
        std::fs::rename(all, &aside).unwrap();
        let decoy = outside.join(path.file_name().unwrap());
        std::fs::create_dir(&decoy).unwrap();
        std::fs::write(decoy.join("file"), "").unwrap();
        symlink(&outside, all).unwrap();
        drop(scratch);
        assert!(outside.join("file").exists() && decoy.join("file").exists());
        assert!(!aside.join(path.file_name().unwrap()).exists(), "it went from where it is");
    }

    #[test]
    fn a_pipe_in_the_place_of_a_lock_is_refused_and_not_waited_for() {
        let state = tempfile::tempdir().unwrap();
        let store = Store::open_in(&state.path().join("state"), Identity::Named("x".into())).unwrap();
        let left = store.scratch().unwrap();
        let path = left.path().to_owned();
        let lock = path.join(".lock");
        std::fs::remove_file(&lock).unwrap();
        mkfifoat(CWD, &lock, Mode::RUSR | Mode::WUSR).unwrap();
        std::mem::forget(left);
        let next = store.scratch().unwrap();
        assert!(path.exists(), "nobody can tell whether it is needed");
        assert!(next.path().exists());
    }
}
