//! Instructions as they were written.
//!
//! What stands on one line of the source is borrowed from it; only what continuations, quotes or escapes part is a copy.

use std::borrow::Cow;

use super::comments::Comments;
pub use super::directive::{Directive, DirectiveName};
pub use super::keyword::Keyword;
pub use super::span::Span;

/// A text of the source: the source's own where it stands on one line and is written plainly.
pub type Text<'a> = Cow<'a, str>;

/// A Dockerfile. Between its directives and instructions there is nothing but comments and blank lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile<'a> {
    /// The text that it was read from.
    pub source: &'a str,
    /// The character that escapes and continues lines: a backslash or a backtick.
    pub escape: char,
    /// The parser directives at its top, in order.
    pub directives: Vec<Directive<'a>>,
    /// The instructions, in order.
    pub instructions: Vec<Instruction<'a>>,
}

impl<'a> Dockerfile<'a> {
    /// The line that one of its instructions ends on, from 1.
    #[must_use]
    pub fn last_line(&self, instruction: &Instruction<'_>) -> u32 {
        let text = instruction.span.of(self.source);
        let text = text.strip_suffix('\n').unwrap_or(text);
        let newlines = memchr::memchr_iter(b'\n', text.as_bytes()).count();
        instruction.line.saturating_add(u32::try_from(newlines).unwrap_or(u32::MAX))
    }

    /// The comments above one of its instructions, as upstream attributes them (`Node.PrevComment`): since the
    /// instruction before or the last empty comment, blank lines notwithstanding.
    #[must_use]
    pub fn comments(&self, instruction: &Instruction<'_>) -> Comments<'a> {
        let start = instruction.span.start;
        let place = self.instructions.partition_point(|other| other.span.start < start);
        let before = match place.checked_sub(1) {
            Some(before) => self.instructions[before].span.end,
            None => self.directives.last().map_or(0, |directive| directive.span.end),
        };
        Comments::between(Span { start: before, end: start }.of(self.source), instruction.line)
    }
}

/// An instruction. Small, since a file may hold millions of them: what few have is in a box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction<'a> {
    /// What it is: `RUN`, in upper case.
    pub keyword: Keyword,
    /// The line that it begins on, from 1.
    pub line: u32,
    /// Its bytes, from its first line to the end of its last, with continuations and heredocs.
    pub span: Span,
    /// What stands behind the flags.
    pub body: Body<'a>,
    pub(super) extras: Option<Box<Extras<'a>>>,
}

impl<'a> Instruction<'a> {
    /// Adds what is known once the lines behind it are read.
    pub(super) fn finish(&mut self, end: u32, heredocs: Vec<Heredoc>) {
        self.span.end = end;
        if !heredocs.is_empty() {
            self.extras.get_or_insert_default().heredocs = heredocs;
        }
    }

    /// `--name=value`, in order. Those of an ONBUILD's inner instruction are there.
    #[must_use]
    pub fn flags(&self) -> &[Flag<'a>] {
        self.extras.as_ref().map(|extras| &extras.flags[..]).unwrap_or_default()
    }

    /// The heredocs that follow a RUN, or are among the sources of a COPY or ADD.
    #[must_use]
    pub fn heredocs(&self) -> &[Heredoc] {
        self.extras.as_ref().map(|extras| &extras.heredocs[..]).unwrap_or_default()
    }
}

/// What most instructions do not have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Extras<'a> {
    pub(super) flags: Vec<Flag<'a>>,
    pub(super) heredocs: Vec<Heredoc>,
}

/// `--name` or `--name=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag<'a> {
    /// The name, without the dashes.
    pub name: Text<'a>,
    /// The value, as the instruction's parser sees it: continuations joined, quotes and escapes taken off.
    ///
    /// BuildKit takes the bytes of a flag for Latin-1, so what is not ASCII comes out garbled here as there.
    pub value: Option<Text<'a>>,
    /// The bytes of `--name=value` in the source. A continuation may lie within.
    pub span: Span,
    /// The line that it begins on, from 1.
    pub line: u32,
}

/// What stands behind the flags. Words are not expanded.
///
/// The text of a RUN lies here; whatever else there is takes two words at the most, so that all of this takes three.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body<'a> {
    /// `FROM base [AS name]`; the platform is a flag.
    From(Box<NewStage<'a>>),
    /// `ARG name[=default]…`.
    Arg(Box<[(Text<'a>, Option<Text<'a>>)]>),
    /// `ENV name=value…`.
    Env(Box<[(Text<'a>, Text<'a>)]>),
    /// `RUN command`, a shell's text.
    Run(Text<'a>),
    /// `RUN ["…"]`, which no shell sees.
    Exec(Box<[Text<'a>]>),
    /// `COPY` or `ADD`: what is copied, heredocs by their names, and last where to. Where from is a flag.
    Copy(Box<[Text<'a>]>),
    /// `WORKDIR path`.
    Workdir(Box<str>),
    /// `SHELL ["…"]`.
    Shell(Box<[Text<'a>]>),
    /// `ONBUILD instruction`. Its body is [`Body::Other`] if it would be refused where the image is built upon: BuildKit
    /// does not look there before.
    Onbuild(Box<Instruction<'a>>),
    /// Anything that neither starts a step nor changes what later words mean. An ONBUILD of an unknown instruction too.
    Other,
}

/// What a FROM says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewStage<'a> {
    /// The image or stage that it starts from.
    pub base: Text<'a>,
    /// Its name, in lower case.
    pub name: Option<Text<'a>>,
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
    pub content: Span,
}
