//! What makes no sense together.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Blame, Explain};
use crate::lapse::shown;

/// What makes no sense together.
#[derive(Debug, thiserror::Error)]
pub(super) enum Usage {
    #[error("nothing to sweep: neither a directory nor --preset is given")]
    Nothing,
    #[error("directories are given with several presets, so it is not known which are of which kind")]
    Kinds,
    #[error("--grace {} is longer than --older-than {}, so nothing old would go", shown(*grace), shown(*older_than))]
    Grace { grace: Duration, older_than: Duration },
    #[error("--format json has nothing to tell of a cache mount: what went is in the build's output")]
    NoReport,
    #[error("there is no user '{0}'")]
    User(String),
    #[error("'{}' is but a part of a cache: its tool has its lock in '{}'", path.display(), whole.display())]
    Part { path: PathBuf, whole: PathBuf },
    #[error("cannot write '{}'", path.display())]
    Install { path: PathBuf, source: io::Error },
    #[error("'{}' is no text, so that no file can say it", .0.to_string_lossy().escape_debug())]
    NoText(OsString),
    #[error("{failed} of {all} directories were not swept to the end")]
    Unswept { failed: usize, all: usize, blame: Blame },
}

impl Explain for Usage {
    fn blame(&self) -> Blame {
        match self {
            Self::Install { .. } => Blame::Surroundings,
            Self::Unswept { blame, .. } => *blame,
            _ => Blame::Input,
        }
    }

    fn help(&self) -> Vec<String> {
        vec![match self {
            Self::Nothing => {
                "name a directory, or a tool: `ci-build sweep --preset torch,huggingface`".into()
            }
            Self::Kinds => "one command for each preset".into(),
            Self::Grace { older_than, .. } => {
                format!("give --grace {} or less", shown(*older_than))
            }
            Self::User(_) => "name one of /etc/passwd, a number, `self` or `any`".into(),
            Self::NoReport => "without it the build's output is shown".into(),
            Self::Part { whole, .. } => format!("name '{}'", whole.display()),
            Self::NoText(_) => "give it a name in UTF-8".into(),
            Self::Unswept { .. } => "the warnings say why; the other ones were swept".into(),
            Self::Install { .. } => "without --install-to it is printed".into(),
        }]
    }
}
