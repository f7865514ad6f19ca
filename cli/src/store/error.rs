//! Why a store's lock or its records could not be had.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;

use super::identity::Identity;
use crate::error::{Blame, Explain};
use crate::lapse::shown;

/// Why the state directory, a lock or a record could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no place for the state of this user.
    #[error("cannot tell where to keep locks: neither XDG_STATE_HOME nor HOME is an absolute path")]
    NoPlace,
    /// The operating system refused something in the state directory.
    #[error("cannot {task} '{}'", path.display())]
    Refused {
        /// What was tried, such as "open".
        task: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// Its answer.
        source: io::Error,
    },
    /// Others could put files of theirs in the place of ours.
    #[error("the state directory '{}' is not safe: {why}", path.display())]
    Unsafe {
        /// Which directory.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Others could put files of theirs in the place of what is kept there.
    #[error("cannot keep anything in '{}': {why}", path.display())]
    NotOurs {
        /// Which directory.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The file system does not have the lock that we rely on.
    #[error("the state directory '{}' is on {kind}, where flock is only emulated", path.display())]
    Emulated {
        /// Which directory.
        path: PathBuf,
        /// Which file system.
        kind: &'static str,
    },
    /// The time for the wait is over.
    #[error("gave up waiting for the store '{store}' after {}: {holders}", shown(*waited))]
    GaveUp {
        /// Which store.
        store: Identity,
        /// How long was waited.
        waited: Duration,
        /// Who has it, as far as is known.
        holders: String,
    },
    /// The time for the wait is over: for the end of one deletion, or of the additions of leases.
    #[error("gave up waiting for others who add leases or delete an image after {}", shown(*waited))]
    Unquiet {
        /// How long was waited.
        waited: Duration,
    },
    /// The caller would wait for itself.
    #[error(
        "an exclusive lock of the store '{store}' inside a shared one of the same job would wait for itself: {holder}"
    )]
    Upgrade {
        /// Which store.
        store: Identity,
        /// The command that we are part of.
        holder: String,
    },
}

impl Error {
    pub(super) fn refused(task: &'static str, path: impl AsRef<Path>, source: impl Into<io::Error>) -> Self {
        Self::Refused { task, path: path.as_ref().into(), source: source.into() }
    }

    /// Whether nothing but room is missing.
    pub fn is_full_disk(&self) -> bool {
        let full = [Errno::NOSPC, Errno::DQUOT].map(Errno::raw_os_error);
        matches!(self, Self::Refused { source, .. } if source.raw_os_error().is_some_and(|e| full.contains(&e)))
    }
}

impl Explain for Error {
    fn blame(&self) -> Blame {
        match self {
            Self::GaveUp { .. } | Self::Unquiet { .. } => Blame::Holder,
            Self::Upgrade { .. } | Self::NoPlace => Blame::Input,
            Self::Refused { .. } | Self::Unsafe { .. } | Self::NotOurs { .. } | Self::Emulated { .. } => {
                Blame::Surroundings
            }
        }
    }

    fn help(&self) -> Vec<String> {
        const ELSEWHERE: &str =
            "CI_BUILD_STATE_DIR names another directory; all who use the engine need the same";
        let help: &[&str] = match self {
            Self::NoPlace => &["set HOME, or name a directory with CI_BUILD_STATE_DIR"],
            Self::Refused { source, .. } => match source.raw_os_error().map(Errno::from_raw_os_error) {
                Some(Errno::ACCESS | Errno::PERM) => &[
                    "several users share it through a group: `install -d -m 2770 -g docker /var/lib/ci-build`",
                    ELSEWHERE,
                ],
                Some(Errno::ROFS) => &["the file system is read-only", ELSEWHERE],
                Some(Errno::NOSPC | Errno::DQUOT) => &["the disk is full: free some of it", ELSEWHERE],
                Some(Errno::LOOP | Errno::NOTDIR) => {
                    &["no symbolic link is followed there: name the directory itself", ELSEWHERE]
                }
                _ => &[ELSEWHERE],
            },
            Self::Unsafe { .. } => &[
                "for one user: `chmod 700`; for several: root's, with a group, `install -d -m 2770 -g docker …`",
                ELSEWHERE,
            ],
            Self::NotOurs { .. } => &["remove it, if nobody needs it"],
            Self::Emulated { .. } => &[
                "name a directory on a local disk with CI_BUILD_STATE_DIR",
                "CI_BUILD_ALLOW_NFS=1 takes it all the same: a lock may then be lost without a word",
            ],
            Self::GaveUp { .. } => {
                &["`ci-build status` shows who holds it and who waits; --wait waits longer"]
            }
            Self::Unquiet { .. } => {
                &["--wait waits longer; an engine that hangs holds up all who delete images"]
            }
            Self::Upgrade { .. } => &["take the exclusive lock on the outer command"],
        };
        help.iter().map(|&line| line.into()).collect()
    }
}
