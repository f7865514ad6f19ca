//! Why a directory is not swept.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::error::{Blame, Explain};
use crate::store;

/// Why a directory could not be swept, or is not to be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be opened.
    #[error("cannot open the directory '{}'", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Its path has `..` in it.
    #[error("'{}' has '..' in it, which means another directory where a link is", .0.display())]
    Dots(PathBuf),
    /// It is one that is not swept.
    #[error("'{}' is not swept: {refusal}", path.display())]
    Refused {
        /// Which.
        path: PathBuf,
        /// Why not.
        refusal: Refusal,
    },
    /// By atime, where there is none.
    #[error("the mount of '{}' keeps no atime (noatime), so that it cannot be swept by it", .0.display())]
    NoAtime(PathBuf),
    /// It holds more than can be numbered.
    #[error("'{}' holds more than four thousand million entries", .0.display())]
    Full(PathBuf),
    /// The state directory does not play along.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// What was removed cannot be written down.
    #[error("cannot write to the trail '{}'", path.display())]
    Trail {
        /// Where it is.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The system has no thread for us.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}

/// Why a directory is not swept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// `/`.
    #[error("it is everything")]
    Root,
    /// One of those that a system has.
    #[error("the system is in it")]
    System,
    /// What it holds are no files.
    #[error("it belongs to the kernel ({0})")]
    Kernel(&'static str),
    /// Somebody's home directory.
    #[error("it is a home directory")]
    Home,
    /// A home directory is in it.
    #[error("the home directory '{}' is in it", .0.display())]
    Above(PathBuf),
    /// The directory of our own state, or one in it.
    #[error("locks and records of ci-build are in it")]
    State,
    /// A whole file system.
    #[error("it is a whole file system")]
    FileSystem,
}

impl Error {
    pub(super) fn open(path: &Path, source: Errno) -> Self {
        Self::Open { path: path.into(), source: source.into() }
    }

    /// Whether nobody else can have brought it about than who named the directory. What is mounted there may be another user's doing.
    pub fn is_of_usage(&self) -> bool {
        match self {
            Self::Refused { refusal, .. } => *refusal != Refusal::FileSystem,
            Self::Dots(_) => true,
            _ => false,
        }
    }
}

impl Explain for Error {
    fn blame(&self) -> Blame {
        match self {
            Self::Open { .. } | Self::Dots(_) | Self::Refused { .. } | Self::NoAtime(_) => Blame::Input,
            Self::Store(error) => error.blame(),
            Self::Full(_) | Self::Trail { .. } | Self::Thread(_) => Blame::Surroundings,
        }
    }

    fn help(&self) -> Vec<String> {
        match self {
            // What is no directory may be a link to one, which is not followed.
            Self::Open { path, .. } => match path.canonicalize() {
                Ok(itself) if itself != *path => {
                    vec![format!("no link is followed: name the directory itself, '{}'", itself.display())]
                }
                _ => Vec::new(),
            },
            Self::Dots(_) => vec!["name the directory itself".into()],
            Self::Refused { refusal: Refusal::FileSystem, .. } => {
                vec!["--whole-file-system sweeps it all the same, say a volume that is a cache".into()]
            }
            Self::Refused { refusal: Refusal::State, .. } => {
                vec!["CI_BUILD_STATE_DIR names another directory for them".into()]
            }
            Self::Refused { .. } => vec!["name the directories below it that are caches".into()],
            Self::NoAtime(_) => vec!["--by last-use or --by mtime".into()],
            Self::Full(_) => vec!["sweep the directories below it one by one".into()],
            Self::Store(error) => error.help(),
            Self::Trail { .. } => vec!["--trail names another file; what was removed stays removed".into()],
            Self::Thread(_) => vec!["--threads 1 needs none".into()],
        }
    }
}
