//! An instruction from its joined text.

use std::borrow::Cow;

use super::arguments::{self, Arguments};
use super::case;
use super::error::Fault;
use super::flags::{self, RawFlag};
use super::form::{self, Form};
use super::instruction::{Body, Extras, Flag, Instruction};
use super::keyword::Keyword;
use super::lines::{Line, Logical};
use super::part::Part;
use super::span::Span;

/// What every instruction begins with.
struct Head<'a> {
    word: Part<'a>,
    keyword: Option<Keyword>,
    flags: Vec<RawFlag<'a>>,
    rest: Part<'a>,
}

impl<'a> Head<'a> {
    fn read(text: Part<'a>, escape: char) -> Self {
        let (word, rest) = text.split_word();
        let (flags, rest) = flags::split(rest.unwrap_or(word.skip(word.text.len())), escape);
        Self { word, keyword: Keyword::read(word.text), flags, rest: rest.trim() }
    }
}

/// Reads an instruction, which begins on a line, and whether heredocs may follow it. Where it ends is not known yet.
pub(super) fn read<'source>(
    logical: &Logical<'_, 'source>,
    first: &Line<'source>,
    escape: char,
) -> Result<(Instruction<'source>, bool), Fault> {
    let reader = Reader { logical, first, escape };
    let head = Head::read(Part::new(logical.text, 0).trim(), escape);
    let Some(keyword) = head.keyword else { return Err(unknown(head.word)) };
    let (form, takes_heredocs) = reader.form(keyword, &head)?;
    let body = arguments::check(&reader.arguments(keyword, &head, form))?;
    let (body, takes_heredocs) = match keyword {
        Keyword::Onbuild => reader.onbuild(head.rest)?,
        _ => (body, takes_heredocs),
    };
    Ok((reader.instruction(keyword, first.start, head.flags, body), takes_heredocs))
}

/// Reads the parts of one instruction.
struct Reader<'a, 'source> {
    logical: &'a Logical<'a, 'source>,
    first: &'a Line<'source>,
    escape: char,
}

impl<'a, 'source> Reader<'a, 'source> {
    /// The form of the arguments, and whether heredocs may follow them.
    fn form(&self, keyword: Keyword, head: &Head<'a>) -> Result<(Form<'a>, bool), Fault> {
        let form = form::read(keyword, head.rest, self.escape)?;
        let takes_heredocs =
            matches!(keyword, Keyword::Add | Keyword::Copy | Keyword::Run) && !form.is_json();
        Ok((form, takes_heredocs))
    }

    fn arguments<'b>(
        &'b self,
        keyword: Keyword,
        head: &'b Head<'b>,
        form: Form<'b>,
    ) -> Arguments<'b, 'source> {
        let Self { logical, escape, .. } = *self;
        Arguments { keyword, word: head.word, flags: &head.flags, form, rest: head.rest, logical, escape }
    }

    /// The instruction in an ONBUILD, and whether heredocs may follow it.
    ///
    /// Only its form must be right: BuildKit reads the rest of it where the image is built upon.
    fn onbuild(&self, text: Part<'a>) -> Result<(Body<'source>, bool), Fault> {
        let head = Head::read(text, self.escape);
        let refused = ["FROM", "MAINTAINER", "ONBUILD"];
        if let Some(name) = refused.into_iter().find(|name| case::upper_is(head.word.text, name)) {
            return Err(head.word.fault(format!("{name} cannot stand in an ONBUILD")));
        }
        let Some(keyword) = head.keyword else { return Ok((Body::Other, false)) };
        let (form, takes_heredocs) = self.form(keyword, &head)?;
        let body = arguments::check(&self.arguments(keyword, &head, form)).unwrap_or(Body::Other);
        let start = self.logical.place(head.word.at);
        let trigger = self.instruction(keyword, start, head.flags, body);
        Ok((Body::Onbuild(Box::new(trigger)), takes_heredocs))
    }

    fn instruction(
        &self,
        keyword: Keyword,
        start: usize,
        flags: Vec<RawFlag<'_>>,
        body: Body<'source>,
    ) -> Instruction<'source> {
        let extras =
            (!flags.is_empty()).then(|| Box::new(Extras { flags: self.flags(flags), heredocs: Vec::new() }));
        Instruction { keyword, line: self.first.number, span: Span::from(start..start), body, extras }
    }

    fn flags(&self, flags: Vec<RawFlag<'_>>) -> Vec<Flag<'source>> {
        let source = self.logical.source;
        let own = |text: Cow<'_, str>, at| match text {
            Cow::Borrowed(text) => self.logical.text(Part::new(text, at)),
            Cow::Owned(text) => Cow::Owned(text),
        };
        let mut line = self.first.number;
        let mut seen = self.first.start;
        let flag = |flag: RawFlag<'_>| {
            let span = self.logical.span(flag.at, flag.end);
            let newlines = memchr::memchr_iter(b'\n', &source.as_bytes()[seen..span.start]).count();
            line = line.saturating_add(u32::try_from(newlines).unwrap_or(u32::MAX));
            seen = span.start;
            let name = flag.at + "--".len();
            let value = name + flag.name.len() + "=".len();
            Flag {
                name: own(flag.name, name),
                value: flag.value.map(|text| own(text, value)),
                span: Span::from(span),
                line,
            }
        };
        flags.into_iter().map(flag).collect()
    }
}

fn unknown(word: Part<'_>) -> Fault {
    if word.is_empty() {
        return word.fault("nothing follows the continuation");
    }
    word.fault(format!("unknown instruction {}", word.text))
        .with_help("if it belongs to the instruction above, that lacks the character that continues its line")
}
