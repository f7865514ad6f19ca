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

/// An instruction, but for the heredocs that may follow it.
pub(super) struct Statement {
    pub(super) keyword: Keyword,
    pub(super) flags: Vec<Flag>,
    pub(super) body: Body,
    pub(super) takes_heredocs: bool,
}

/// Reads an instruction.
pub(super) fn read(place: &Place<'_>, escape: char) -> Result<Statement, Fault> {
    let head = Head::read(Part::new(place.logical.text, 0).trim(), escape);
    let Some(keyword) = head.keyword else { return Err(unknown(head.word)) };
    let form = form::read(keyword, head.rest, escape)?;
    let takes_heredocs = takes_heredocs(keyword, &form);
    let body = arguments::check(head.arguments(keyword, form, escape))?;
    let (body, takes_heredocs) = match keyword {
        Keyword::Onbuild => onbuild(head.rest, place, escape)?,
        _ => (body, takes_heredocs),
    };
    Ok(Statement { keyword, flags: place.flags(head.flags), body, takes_heredocs })
}

/// The instruction in an ONBUILD, and whether heredocs may follow it.
///
/// Only its form must be right: BuildKit reads the rest of it where the image is built upon.
fn onbuild(text: Part<'_>, place: &Place<'_>, escape: char) -> Result<(Body, bool), Fault> {
    let head = Head::read(text, escape);
    let refused = ["FROM", "MAINTAINER", "ONBUILD"];
    if let Some(name) = refused.into_iter().find(|name| case::upper_is(head.word.text, name)) {
        return Err(head.word.fault(format!("{name} cannot stand in an ONBUILD")));
    }
    let Some(keyword) = head.keyword else { return Ok((Body::Other, false)) };
    let form = form::read(keyword, head.rest, escape)?;
    let takes_heredocs = takes_heredocs(keyword, &form);
    let body = arguments::check(head.arguments(keyword, form, escape)).unwrap_or(Body::Other);
    let start = place.logical.source(head.word.at);
    let inner = Instruction {
        keyword,
        // Where it ends is not known yet.
        span: start..start,
        lines: place.first.number..=place.first.number,
        comments: 0..0,
        flags: place.flags(head.flags),
        body,
    };
    Ok((Body::Onbuild(Box::new(inner)), takes_heredocs))
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
pub(super) fn attach(body: &mut Body, read: Vec<Heredoc>) {
    let body = match body {
        Body::Onbuild(inner) => &mut inner.body,
        body => body,
    };
    if let Body::Run(Command { heredocs, .. }) | Body::Copy { heredocs, .. } = body {
        *heredocs = read;
    }
}
