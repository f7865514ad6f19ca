//! What is wrong with a configuration file.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::File;
use crate::error::{Blame, Explain};

/// Why a configuration file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("cannot read the configuration '{}'", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is something that is not read.
    #[error("the configuration '{}' is {what}", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// It says something that means nothing.
    #[error("{}:{line}: {what}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        what: String,
        /// What exists.
        help: String,
    },
}

impl Error {
    pub(super) fn unreadable(path: &Path, source: impl Into<io::Error>) -> Self {
        Self::Unreadable { path: path.into(), source: source.into() }
    }

    pub(super) fn wrong(file: &File, span: &Range<usize>, what: String, help: impl Into<String>) -> Self {
        let before = file.text.as_bytes().get(..span.start).unwrap_or_default();
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        Self::Wrong { path: file.path.clone(), line, what, help: help.into() }
    }

    /// What a TOML reader says. Without the text of the line: a link may lead to what its reader may not see.
    pub(super) fn toml(file: &File, error: &toml::de::Error, help: impl Into<String>) -> Self {
        Self::wrong(file, &error.span().unwrap_or_default(), error.message().into(), help)
    }
}

impl Explain for Error {
    fn blame(&self) -> Blame {
        Blame::Input
    }

    fn help(&self) -> Vec<String> {
        match self {
            Self::Unreadable { .. } => {
                vec!["CI_BUILD_CONFIG names another file; empty, it means none".into()]
            }
            Self::Unfit { .. } => {
                vec!["CI_BUILD_CONFIG names the file itself; empty, it means none".into()]
            }
            Self::Wrong { help, .. } => vec![help.clone()],
        }
    }
}
