//! Instructions as they were written.

use std::ops::{Range, RangeInclusive};

use super::case;

/// A Dockerfile. Its items tile the source: each begins where the one before it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// The character that escapes and continues lines: a backslash or a backtick.
    pub escape: char,
    /// Everything in it, in order.
    pub items: Vec<Item>,
}

impl Dockerfile {
    /// The instructions, in order.
    pub fn instructions(&self) -> impl Iterator<Item = &Instruction> {
        self.items.iter().filter_map(|item| match item {
            Item::Instruction(instruction) => Some(instruction),
            _ => None,
        })
    }

    /// The comments above one of its instructions, as upstream attributes them (`Node.PrevComment`): since the
    /// instruction before or the last empty comment, blank lines notwithstanding.
    pub fn comments(&self, instruction: &Instruction) -> impl Iterator<Item = &Comment> {
        let items = self.items.get(instruction.comments.clone()).unwrap_or_default();
        items.iter().filter_map(|item| match item {
            Item::Comment(comment) => Some(comment),
            _ => None,
        })
    }
}

/// A part of a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A parser directive.
    Directive(Directive),
    /// A comment outside of any instruction: one line.
    Comment(Comment),
    /// Lines with nothing on them, or the mark at the beginning of some files (BOM).
    Blank(Range<usize>),
    /// An instruction with everything that belongs to it.
    Instruction(Instruction),
}

/// `# syntax=…`, `# escape=…` or `# check=…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// In lower case.
    pub name: String,
    /// As it was written, without white space around it.
    pub value: String,
    /// Its bytes, with the end of its line.
    pub span: Range<usize>,
    /// Its line, from 1.
    pub line: u32,
}

/// A comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// Its text behind the `#`, without white space around it. Where it is indented, the `#` is still there, as upstream.
    pub text: String,
    /// Its bytes, with the end of its line.
    pub span: Range<usize>,
    /// Its line, from 1.
    pub line: u32,
}

/// An instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// What it is: `RUN`, in upper case.
    pub keyword: Keyword,
    /// Its bytes, from its first line to the end of its last, with continuations and heredocs.
    pub span: Range<usize>,
    /// Its lines, from 1.
    pub lines: RangeInclusive<u32>,
    /// The items that its comments are among, see [`Dockerfile::comments`].
    pub comments: Range<usize>,
    /// `--name=value`, in order. Those of an ONBUILD's inner instruction are there.
    pub flags: Vec<Flag>,
    /// The rest.
    pub body: Body,
}

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
    /// Every keyword.
    pub const ALL: [Self; 18] = [
        Self::Add,
        Self::Arg,
        Self::Cmd,
        Self::Copy,
        Self::Entrypoint,
        Self::Env,
        Self::Expose,
        Self::From,
        Self::Healthcheck,
        Self::Label,
        Self::Maintainer,
        Self::Onbuild,
        Self::Run,
        Self::Shell,
        Self::Stopsignal,
        Self::User,
        Self::Volume,
        Self::Workdir,
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
        if !word.is_ascii() {
            let word = case::lower(word);
            return Self::ALL.into_iter().find(|keyword| keyword.name().eq_ignore_ascii_case(&word));
        }
        let mut upper = [0; "HEALTHCHECK".len()];
        let upper = upper.get_mut(..word.len())?;
        upper.copy_from_slice(word.as_bytes());
        upper.make_ascii_uppercase();
        Some(match &*upper {
            b"ADD" => Self::Add,
            b"ARG" => Self::Arg,
            b"CMD" => Self::Cmd,
            b"COPY" => Self::Copy,
            b"ENTRYPOINT" => Self::Entrypoint,
            b"ENV" => Self::Env,
            b"EXPOSE" => Self::Expose,
            b"FROM" => Self::From,
            b"HEALTHCHECK" => Self::Healthcheck,
            b"LABEL" => Self::Label,
            b"MAINTAINER" => Self::Maintainer,
            b"ONBUILD" => Self::Onbuild,
            b"RUN" => Self::Run,
            b"SHELL" => Self::Shell,
            b"STOPSIGNAL" => Self::Stopsignal,
            b"USER" => Self::User,
            b"VOLUME" => Self::Volume,
            b"WORKDIR" => Self::Workdir,
            _ => return None,
        })
    }
}

/// `--name` or `--name=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The name, without the dashes.
    pub name: String,
    /// The value, as the instruction's parser sees it: continuations joined, quotes and escapes taken off.
    ///
    /// BuildKit takes the bytes of a flag for Latin-1, so what is not ASCII comes out garbled here as there.
    pub value: Option<String>,
    /// The bytes of `--name=value` in the source. A continuation may lie within.
    pub span: Range<usize>,
    /// The line that it begins on, from 1.
    pub line: u32,
}

/// What stands behind the flags. Words are not expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// `FROM base [AS name]`; the platform is a flag.
    From {
        /// The image or stage.
        base: String,
        /// The stage's name, in lower case.
        name: Option<String>,
    },
    /// `ARG name[=default]…`.
    Arg(Vec<(String, Option<String>)>),
    /// `ENV name=value…`.
    Env(Vec<(String, String)>),
    /// `RUN`.
    Run(Command),
    /// `COPY` or `ADD`; where from is a flag.
    Copy {
        /// What is copied; heredocs by their names.
        sources: Vec<String>,
        /// Where to.
        destination: String,
        /// The heredocs among the sources.
        heredocs: Vec<Heredoc>,
    },
    /// `WORKDIR path`.
    Workdir(String),
    /// `SHELL ["…"]`.
    Shell(Vec<String>),
    /// `ONBUILD instruction`. Its body is [`Body::Other`] if it would be refused where the image is built upon: BuildKit
    /// does not look there before.
    Onbuild(Box<Instruction>),
    /// Anything that neither starts a step nor changes what later words mean. An ONBUILD of an unknown instruction too.
    Other,
}

/// A command to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The shell's text, or the words of the JSON form joined by spaces.
    pub text: String,
    /// Whether it is in JSON form, which no shell sees.
    pub is_json: bool,
    /// What follows it.
    pub heredocs: Vec<Heredoc>,
}

/// `<<NAME` and its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// The word that ends it.
    pub name: String,
    /// Whether variables in it are expanded: no part of the word was quoted.
    pub expand: bool,
    /// Whether tabs at the beginning of its lines are dropped (`<<-`).
    pub chomp: bool,
    /// The bytes of its lines in the source, without the line that ends it.
    pub content: Range<usize>,
}
