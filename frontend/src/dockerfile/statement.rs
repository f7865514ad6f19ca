//! An instruction from its joined text.

use super::arguments::{self, Arguments};
use super::case;
use super::error::Fault;
use super::flags::{self, RawFlag};
use super::form::{self, Form};
use super::instruction::{Body, Command, Flag, Heredoc, Instruction, Keyword};
use super::lines::{Line, Logical};
use super::part::Part;

/// What every instruction begins with.
struct Head<'a> {
    word: Part<'a>,
    keyword: Option<Keyword>,
    flags: Vec<RawFlag>,
    rest: Part<'a>,
}

impl<'a> Head<'a> {
    fn read(text: Part<'a>, escape: char) -> Self {
        let (word, rest) = text.split_word();
        let (flags, rest) = flags::split(rest.unwrap_or(word.skip(word.text.len())), escape);
        Self { word, keyword: Keyword::read(word.text), flags, rest: rest.trim() }
    }

    fn arguments<'b>(&'b self, keyword: Keyword, form: Form<'b>, escape: char) -> Arguments<'b> {
        Arguments { keyword, word: self.word, flags: &self.flags, form, rest: self.rest, escape }
    }
}

/// Where in the source an instruction stands.
pub(super) struct Place<'a> {
    pub(super) source: &'a [u8],
    pub(super) first: &'a Line<'a>,
    pub(super) logical: &'a Logical<'a>,
}

impl Place<'_> {
    fn instruction(&self, keyword: Keyword, head: Head<'_>, body: Body) -> Instruction {
        let start = self.logical.source(head.word.at);
        Instruction {
            keyword,
            span: start..start,
            lines: self.first.number..=self.first.number,
            comments: 0..0,
            flags: self.flags(head.flags),
            body,
        }
    }

    fn flags(&self, flags: Vec<RawFlag>) -> Vec<Flag> {
        let mut line = self.first.number;
        let mut seen = self.first.start;
        let flag = |flag: RawFlag| {
            let span = self.logical.source(flag.at)..self.logical.source_end(flag.end);
            let newlines = memchr::memchr_iter(b'\n', &self.source[seen..span.start]).count();
            line = line.saturating_add(u32::try_from(newlines).unwrap_or(u32::MAX));
            seen = span.start;
            Flag { name: flag.name, value: flag.value, span, line }
        };
        flags.into_iter().map(flag).collect()
    }
}

/// An instruction, and whether heredocs may follow it.
pub(super) fn read(place: &Place<'_>, escape: char) -> Result<(Instruction, bool), Fault> {
    let head = Head::read(Part::new(place.logical.text, 0).trim(), escape);
    let Some(keyword) = head.keyword else { return Err(unknown(head.word)) };
    let form = form::read(keyword, head.rest, escape)?;
    let is_heredoc = takes_heredocs(keyword, &form);
    let body = arguments::check(head.arguments(keyword, form, escape))?;
    let (body, is_heredoc) = match keyword {
        Keyword::Onbuild => onbuild(&head, place, escape)?,
        _ => (body, is_heredoc),
    };
    let mut instruction = place.instruction(keyword, head, body);
    instruction.span.start = place.first.start;
    Ok((instruction, is_heredoc))
}

/// The instruction in an ONBUILD, and whether heredocs may follow it.
///
/// Only its form must be right: BuildKit reads the rest of it where the image is built upon.
fn onbuild(head: &Head<'_>, place: &Place<'_>, escape: char) -> Result<(Body, bool), Fault> {
    let inner = Head::read(head.rest, escape);
    let refused = ["FROM", "MAINTAINER", "ONBUILD"];
    if let Some(name) = refused.into_iter().find(|name| case::upper_is(inner.word.text, name)) {
        return Err(inner.word.fault(format!("{name} cannot stand in an ONBUILD")));
    }
    let Some(keyword) = inner.keyword else { return Ok((Body::Other, false)) };
    let form = form::read(keyword, inner.rest, escape)?;
    let is_heredoc = takes_heredocs(keyword, &form);
    let body = arguments::check(inner.arguments(keyword, form, escape)).unwrap_or(Body::Other);
    Ok((Body::Onbuild(Box::new(place.instruction(keyword, inner, body))), is_heredoc))
}

fn unknown(word: Part<'_>) -> Fault {
    if word.is_empty() {
        return word.fault("nothing follows the continuation");
    }
    word.fault(format!("unknown instruction {}", word.text))
        .with_help("if it belongs to the instruction above, that lacks the character that continues its line")
}

fn takes_heredocs(keyword: Keyword, form: &Form<'_>) -> bool {
    matches!(keyword, Keyword::Add | Keyword::Copy | Keyword::Run) && !form.is_json()
}

/// Gives an instruction, or the one in it, the heredocs that follow.
pub(super) fn attach(instruction: &mut Instruction, read: Vec<Heredoc>) {
    let body = match &mut instruction.body {
        Body::Onbuild(inner) => &mut inner.body,
        body => body,
    };
    if let Body::Run(Command { heredocs, .. }) | Body::Copy { heredocs, .. } = body {
        *heredocs = read;
    }
}

/// Sets where an instruction ends, and the one in it.
pub(super) fn end(instruction: &mut Instruction, at: usize, line: u32) {
    instruction.span.end = at;
    instruction.lines = *instruction.lines.start()..=line;
    if let Body::Onbuild(inner) = &mut instruction.body {
        inner.span.end = at;
        inner.lines = *inner.lines.start()..=line;
    }
}
