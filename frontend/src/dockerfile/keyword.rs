//! The words that instructions begin with.

use super::case;

/// The instructions that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Keyword {
    Add,
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Label,
    Maintainer,
    Onbuild,
    Run,
    Shell,
    Stopsignal,
    User,
    Volume,
    Workdir,
}

impl Keyword {
    /// Every keyword, those that are frequent first.
    pub const ALL: [Self; 18] = [
        Self::Run,
        Self::Env,
        Self::Copy,
        Self::From,
        Self::Arg,
        Self::Label,
        Self::Workdir,
        Self::Cmd,
        Self::Add,
        Self::User,
        Self::Expose,
        Self::Volume,
        Self::Entrypoint,
        Self::Shell,
        Self::Onbuild,
        Self::Healthcheck,
        Self::Maintainer,
        Self::Stopsignal,
    ];

    /// The word, in upper case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Arg => "ARG",
            Self::Cmd => "CMD",
            Self::Copy => "COPY",
            Self::Entrypoint => "ENTRYPOINT",
            Self::Env => "ENV",
            Self::Expose => "EXPOSE",
            Self::From => "FROM",
            Self::Healthcheck => "HEALTHCHECK",
            Self::Label => "LABEL",
            Self::Maintainer => "MAINTAINER",
            Self::Onbuild => "ONBUILD",
            Self::Run => "RUN",
            Self::Shell => "SHELL",
            Self::Stopsignal => "STOPSIGNAL",
            Self::User => "USER",
            Self::Volume => "VOLUME",
            Self::Workdir => "WORKDIR",
        }
    }

    /// The keyword that a word is, in whatever case.
    pub(super) fn read(word: &str) -> Option<Self> {
        let is_it =
            |word: &str| Self::ALL.into_iter().find(|keyword| keyword.name().eq_ignore_ascii_case(word));
        // Some letters beyond ASCII are within in the other case.
        is_it(word).or_else(|| if word.is_ascii() { None } else { is_it(&case::lower(word)) })
    }
}
