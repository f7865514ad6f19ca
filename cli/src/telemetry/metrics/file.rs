//! The file that node_exporter reads. Whoever adds to it locks a file beside it, and replaces it as a whole.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::Duration;

use rustix::fs::{FlockOperation, OFlags, flock};

use super::exposition::Figures;
use super::{Figure, figures};
use crate::telemetry::span::Span;

/// Who waits for so long meets somebody who was stopped while writing. A command is more than its figures.
const PATIENCE: Duration = Duration::from_secs(1);

/// More than this, in bytes, is not what we wrote.
const LARGEST: u64 = 4 << 20;

/// Where figures are kept.
#[derive(Debug)]
pub(in crate::telemetry) struct File {
    path: PathBuf,
    gauges: fn() -> Vec<Figure>,
}

/// Why figures were not written.
#[derive(Debug, thiserror::Error)]
pub(in crate::telemetry) enum Error {
    #[error("cannot {task} '{}': {source}", path.display())]
    Refused { task: &'static str, path: PathBuf, source: io::Error },
    #[error("somebody else has been writing '{}' for too long", .0.display())]
    Busy(PathBuf),
}

impl File {
    /// The file that `CI_BUILD_METRICS` names.
    pub(in crate::telemetry) fn of(
        variable: &impl Fn(&str) -> Option<OsString>,
        gauges: fn() -> Vec<Figure>,
    ) -> Option<Self> {
        let path = variable("CI_BUILD_METRICS").filter(|path| !path.is_empty())?;
        Some(Self { path: path.into(), gauges })
    }

    /// Adds what these spans count.
    pub(in crate::telemetry) fn add(&self, spans: &[Span]) -> Result<(), Error> {
        let _lock = self.lock()?;
        let mut known = Figures::read(&self.read());
        known.add(figures(spans), (self.gauges)());
        self.replace(known.write().as_bytes())
    }

    fn read(&self) -> String {
        let mut text = String::new();
        let read = fs::File::open(&self.path).and_then(|file| file.take(LARGEST).read_to_string(&mut text));
        // What is not text is not what we wrote.
        read.map_or_else(|_| String::new(), |_| text)
    }

    /// Where the directory's group may write, whoever is of it may add.
    fn lock(&self) -> Result<fs::File, Error> {
        let path = self.beside(".lock");
        let refused = |source| self.refused("lock", &path, source);
        let mut options = fs::File::options();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file =
            options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed()).open(&path).map_err(refused)?;
        let directory = fs::metadata(self.directory()).map_err(refused)?;
        let is_ours = file.metadata().is_ok_and(|found| found.uid() == rustix::process::geteuid().as_raw());
        if is_ours && directory.mode() & 0o020 != 0 {
            file.set_permissions(fs::Permissions::from_mode(0o660)).map_err(refused)?;
        }
        // Blocked in the kernel, in a thread of its own, since the kernel's wait has no limit.
        let (sender, receiver) = channel();
        let wait = move || {
            let _ = sender.send(flock(&file, FlockOperation::LockExclusive).map(|()| file));
        };
        std::thread::Builder::new().spawn(wait).map_err(refused)?;
        match receiver.recv_timeout(PATIENCE) {
            Ok(locked) => locked.map_err(|errno| refused(errno.into())),
            Err(_) => Err(Error::Busy(self.path.clone())),
        }
    }

    /// Readers find the old file or the new one, and never a part.
    fn replace(&self, text: &[u8]) -> Result<(), Error> {
        let new = self.beside(&format!(".{:016x}", fastrand::u64(..)));
        let mut options = fs::File::options();
        let file = options.write(true).create_new(true).mode(0o644).open(&new);
        let written = file.and_then(|mut file| {
            file.write_all(text)?;
            // node_exporter is another user.
            file.set_permissions(fs::Permissions::from_mode(0o644))?;
            fs::rename(&new, &self.path)
        });
        written.map_err(|source| {
            let _ = fs::remove_file(&new);
            self.refused("write", &self.path, source)
        })
    }

    fn directory(&self) -> &Path {
        self.path.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    /// A hidden file in the same directory, whose name node_exporter does not read.
    fn beside(&self, end: &str) -> PathBuf {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        self.directory().join(format!(".{name}{end}"))
    }

    fn refused(&self, task: &'static str, path: &Path, source: io::Error) -> Error {
        Error::Refused { task, path: path.to_owned(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::tests::span;

    fn file(path: PathBuf) -> File {
        File { path, gauges: Vec::new }
    }

    #[test]
    fn many_add_at_once_and_nothing_is_lost() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ci-build.prom");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        file(path.clone()).add(&[span("pull", &[])]).unwrap();
                    }
                });
            }
        });
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("\nci_build_pull_seconds_total 100\n"), "{text}");
        let names = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(names.count(), 2, "the file and its lock");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o644);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_told_and_one_that_is_locked_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let error = file(directory.path().join("absent/x.prom")).add(&[]).unwrap_err();
        assert!(matches!(error, Error::Refused { task: "lock", .. }), "{error}");
        let file = file(directory.path().join("x.prom"));
        let _held = file.lock().unwrap();
        assert!(matches!(file.add(&[]), Err(Error::Busy(_))));
    }
}
