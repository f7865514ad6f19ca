//! What is on its way into a store: one directory an image and a user, which nobody else can put anything in.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use rustix::fs::{AtFlags, OFlags, statat};
use rustix::io::Errno;

use super::Store;
use super::directory::Directory;
use super::error::Error;
use crate::image::Digest;

/// What an ended run left behind is gone on with for this long.
const LEFT_BEHIND: SignedDuration = SignedDuration::from_hours(24);

/// Where the content of one image is kept until the engine has it.
#[derive(Debug)]
pub struct Spool {
    all: Directory,
    own: Directory,
    name: String,
}

impl Store {
    /// The place for an image that is on its way: with the store's state, or in the directory that is named. It has what an ended run of this
    /// user left; what nobody came back for within a day is removed. Whoever asks has the image's [turn](Store::turn).
    ///
    /// # Errors
    /// When it cannot be had, or is not this user's alone.
    pub fn spool(&self, elsewhere: Option<&Path>, digest: &Digest) -> Result<Spool, Error> {
        let all = elsewhere.map_or_else(|| self.directory.directory("fetch"), Directory::named)?;
        // Another user's may be there, which is not for us to read.
        let prefix = format!("{}-", rustix::process::geteuid().as_raw());
        let name = format!("{prefix}{}", digest.hex());
        let own = all.private(&name)?;
        let others = all.entries()?.into_iter().filter_map(|other| other.into_string().ok());
        for other in others.filter(|other| *other != name) {
            let hex = other.strip_prefix(&prefix);
            if let Some(digest) = hex.and_then(|hex| format!("sha256:{hex}").parse().ok()) {
                self.remove_left_behind(&all, &other, &digest);
            }
        }
        Ok(Spool { all, own, name })
    }

    /// Whatever goes wrong with that is of no matter to this pull.
    fn remove_left_behind(&self, all: &Directory, name: &str, digest: &Digest) {
        let now = Timestamp::now().as_second();
        let is_old = statat(&all.fd, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|found| now.saturating_sub(found.st_mtime) > LEFT_BEHIND.as_secs());
        if is_old && let Ok(Some(_turn)) = self.turn_at_once(digest) {
            let _ = all.remove_directory(name);
        }
    }
}

impl Spool {
    /// Where it is, for messages.
    pub fn path(&self) -> &Path {
        self.own.path()
    }

    /// Opens the file of this name to be read and written, and makes it where it is missing.
    ///
    /// # Errors
    /// When it cannot be had; a link is not followed.
    pub fn file(&self, name: &str) -> io::Result<File> {
        loop {
            match self.own.open(name, OFlags::RDWR | OFlags::NONBLOCK) {
                Err(Errno::NOENT) => match self.own.create(name) {
                    Err(Errno::EXIST) => {}
                    made => return Ok(made?),
                },
                opened => return Ok(opened?),
            }
        }
    }

    /// Reads the file of this name, if it has no more bytes than this.
    pub fn read(&self, name: &str, most: u64) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let file: File = self.own.open(name, OFlags::RDONLY | OFlags::NONBLOCK).ok()?;
        file.take(most + 1).read_to_end(&mut bytes).ok()?;
        (bytes.len() as u64 <= most).then_some(bytes)
    }

    /// Keeps these bytes under this name: all of them, or what was there.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn keep(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        self.own.replace(name, bytes)
    }

    /// Removes all of it.
    ///
    /// # Errors
    /// When that is not possible: then it goes a day later.
    pub fn remove(&self) -> Result<(), Error> {
        self.all.remove_directory(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::io::Write as _;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::PathBuf;
    use std::time::{Duration, SystemTime};

    use super::super::Identity;
    use super::*;

    struct Ground {
        place: tempfile::TempDir,
        store: Store,
        digest: Digest,
    }

    impl Ground {
        fn new() -> Self {
            let place = tempfile::tempdir().unwrap();
            let store = Store::open_in(&place.path().join("state"), Identity::Named("x".into())).unwrap();
            Self { place, store, digest: Digest::of(b"image") }
        }

        fn elsewhere(&self) -> PathBuf {
            self.place.path().join("spool")
        }

        fn spool(&self) -> Result<Spool, Error> {
            self.store.spool(Some(&self.elsewhere()), &self.digest)
        }
    }

    #[test]
    fn it_is_this_users_alone_and_goes_as_a_whole() {
        let ground = Ground::new();
        let spool = ground.spool().unwrap();
        assert!(spool.path().starts_with(ground.elsewhere()));
        assert_eq!(std::fs::metadata(spool.path()).unwrap().permissions().mode() & 0o777, 0o700);
        spool.file("blob").unwrap().write_all(b"whole").unwrap();
        assert_eq!(ground.spool().unwrap().read("blob", 5).unwrap(), b"whole", "an earlier run left it");
        assert_eq!(spool.read("blob", 4), None, "it is longer");
        spool.remove().unwrap();
        assert!(!spool.path().exists());
        let with_the_state = ground.store.spool(None, &ground.digest).unwrap();
        assert!(with_the_state.path().starts_with(ground.place.path().join("state")));
    }

    #[test]
    fn what_others_may_write_to_is_not_used() {
        let ground = Ground::new();
        let path = ground.spool().unwrap().path().to_owned();
        std::fs::set_permissions(&path, Permissions::from_mode(0o770)).unwrap();
        assert!(matches!(ground.spool(), Err(Error::NotOurs { why: "others may write to it", .. })));
        std::fs::remove_dir(&path).unwrap();
        std::fs::create_dir(ground.place.path().join("target")).unwrap();
        symlink(ground.place.path().join("target"), &path).unwrap();
        assert!(matches!(ground.spool(), Err(Error::Refused { .. })), "a link");
        // What follows is for root to try.
        if rustix::process::geteuid().is_root() {
            std::fs::remove_file(&path).unwrap();
            std::fs::create_dir(&path).unwrap();
            std::os::unix::fs::chown(&path, Some(65534), Some(65534)).unwrap();
            assert!(matches!(ground.spool(), Err(Error::NotOurs { why: "it belongs to another user", .. })));
        }
    }

    #[test]
    fn no_link_is_written_through() {
        let ground = Ground::new();
        let spool = ground.spool().unwrap();
        let target = ground.place.path().join("target");
        std::fs::write(&target, "mine").unwrap();
        symlink(&target, spool.path().join("blob")).unwrap();
        assert!(spool.file("blob").is_err() && spool.read("blob", 10).is_none());
        spool.keep("blob", b"theirs").unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"mine");
        assert_eq!(spool.read("blob", 10).unwrap(), b"theirs", "the link's name is the file's now");
        spool.remove().unwrap();
        assert!(target.exists());
    }

    #[test]
    fn what_nobody_came_back_for_is_removed_after_a_day() {
        let ground = Ground::new();
        let (old, other) = (Digest::of(b"old"), Digest::of(b"other"));
        let path = |digest: &Digest| {
            let spool = ground.store.spool(Some(&ground.elsewhere()), digest).unwrap();
            spool.keep("blob", b"part").unwrap();
            spool.path().to_owned()
        };
        let (old, young) = (path(&old), path(&other));
        let long_ago = SystemTime::now() - Duration::from_secs(25 * 3600);
        File::open(&old).unwrap().set_modified(long_ago).unwrap();
        // A name as records have it while they are written, by somebody else.
        let foreign = ground.elsewhere().join(".0123456789abcdef");
        std::fs::write(&foreign, "").unwrap();
        File::options().write(true).open(&foreign).unwrap().set_modified(long_ago).unwrap();
        ground.spool().unwrap();
        assert!(!old.exists() && young.exists() && foreign.exists());
    }
}
