//! Text to instructions.

use super::arguments::{self, Arguments};
use super::case;
use super::directive::Directives;
use super::error::Fault;
pub use super::error::SyntaxError;
use super::flags::{self, RawFlag};
use super::form::{self, Form};
use super::heredoc;
use super::instruction::{Body, Comment, Directive, Dockerfile, Flag, Heredoc, Instruction, Item, Keyword};
use super::lines::{BOM, Joiner, Line, Lines, Logical};
use super::part::Part;

/// Reads a Dockerfile.
///
/// Accepts what BuildKit's parser accepts (`parser.Parse` and `instructions.Parse`, which `docker build --call=targets`
/// runs), with these differences: the text must be UTF-8 and hold no NUL. Takes time and memory in proportion to the
/// text.
///
/// # Errors
///
/// At the first place at which BuildKit would refuse the file, with what is wrong there.
pub fn parse(source: &[u8]) -> Result<Dockerfile, SyntaxError> {
    let text = text(source)?;
    let mut lines = Lines::new(text);
    let mut joiner = Joiner::default();
    let mut reader =
        Reader { source, directives: Directives::default(), items: Vec::new(), comments: Vec::new() };
    if text.starts_with(BOM) {
        reader.items.push(Item::Blank(0..BOM.len()));
    }
    let mut has_stage = false;
    let mut has_instruction = false;
    while let Some(line) = lines.next()? {
        if let Some(directive) = reader.directive(&line)? {
            reader.items.push(Item::Directive(directive));
            continue;
        }
        if line.is_comment() {
            reader.comment(&line);
            continue;
        }
        if line.text.trim_start().is_empty() {
            reader.blank(&line);
            continue;
        }
        let instruction = reader.instruction(&mut joiner, line, &mut lines)?;
        has_instruction = true;
        has_stage |= instruction.keyword == Keyword::From;
        if !has_stage && instruction.keyword != Keyword::Arg {
            let message = format!("{} stands before the first FROM", instruction.keyword.name());
            return Err(SyntaxError::at(source, instruction.span.start, message)
                .with_help("only ARG may: put a FROM in front"));
        }
        reader.items.push(Item::Instruction(instruction));
    }
    if !has_instruction {
        return Err(SyntaxError::at(source, source.len(), "there is no instruction in it"));
    }
    Ok(Dockerfile { escape: reader.directives.escape, items: reader.items })
}

/// The source as text.
fn text(source: &[u8]) -> Result<&str, SyntaxError> {
    let text = std::str::from_utf8(source).map_err(|error| {
        SyntaxError::at(source, error.valid_up_to(), "the text is not UTF-8")
            .with_help("is this a Dockerfile? convert it if it is written in another encoding")
    })?;
    match memchr::memchr(0, source) {
        Some(nul) => Err(SyntaxError::at(source, nul, "there is a NUL byte in the text")
            .with_help("is this a Dockerfile?")),
        None => Ok(text),
    }
}

struct Reader<'a> {
    source: &'a [u8],
    directives: Directives,
    items: Vec<Item>,
    /// The comments since the last instruction or empty comment.
    comments: Vec<Comment>,
}

impl<'a> Reader<'a> {
    fn directive(&mut self, line: &Line<'_>) -> Result<Option<Directive>, SyntaxError> {
        let at = line.start;
        self.directives.read(line).map_err(|message| SyntaxError::at(self.source, at, message))
    }

    fn comment(&mut self, line: &Line<'_>) {
        // Upstream takes a character off and white space around what is left. So an indented comment keeps its sign.
        let text = line.text.strip_prefix('#').unwrap_or(line.text).trim();
        let comment = Comment { text: text.to_owned(), span: line.start..line.end, line: line.number };
        if text.is_empty() {
            self.comments.clear();
        } else {
            self.comments.push(comment.clone());
        }
        self.items.push(Item::Comment(comment));
    }

    /// Lines with nothing on them are one item.
    fn blank(&mut self, line: &Line<'_>) {
        match self.items.last_mut() {
            Some(Item::Blank(blank)) => blank.end = line.end,
            _ => self.items.push(Item::Blank(line.start..line.end)),
        }
    }

    fn instruction(
        &mut self,
        joiner: &mut Joiner,
        first: Line<'a>,
        lines: &mut Lines<'a>,
    ) -> Result<Instruction, SyntaxError> {
        let escape = self.directives.escape;
        let logical = joiner.join(first, lines, escape)?;
        let error = |fault: Fault| {
            let error = SyntaxError::at(self.source, logical.source(fault.at), fault.message);
            fault.help.into_iter().fold(error, SyntaxError::with_help)
        };
        let place = Place { source: self.source, first: &first, logical: &logical };
        let whole = Head::read(Part::new(logical.text, 0).trim(), escape);
        let (mut instruction, is_heredoc) = read(&whole, &place, escape).map_err(error)?;
        if is_heredoc && let Some(at) = logical.text.find("<<") {
            let announced = heredoc::announced(logical.text)
                .map_err(|cause| error(Fault::new(at, format!("bad name of a heredoc: {cause}"))))?;
            let mut heredocs = Vec::with_capacity(announced.len());
            for announced in announced {
                let heredoc = heredoc::read(&announced, lines)?.ok_or_else(|| {
                    error(Fault::new(at, format!("heredoc {} is never closed", announced.name)))
                        .with_help(format!("end it with a line that holds {} alone", announced.name))
                })?;
                heredocs.push(heredoc);
            }
            attach(&mut instruction.body, heredocs);
        }
        instruction.comments = std::mem::take(&mut self.comments);
        end(&mut instruction, lines.at(), lines.number());
        Ok(instruction)
    }
}

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
struct Place<'a> {
    source: &'a [u8],
    first: &'a Line<'a>,
    logical: &'a Logical<'a>,
}

impl Place<'_> {
    fn instruction(&self, keyword: Keyword, head: &Head<'_>, body: Body) -> Instruction {
        let start = self.logical.source(head.word.at);
        Instruction {
            keyword,
            span: start..start,
            lines: self.first.number..=self.first.number,
            comments: Vec::new(),
            flags: self.flags(&head.flags),
            body,
        }
    }

    fn flags(&self, flags: &[RawFlag]) -> Vec<Flag> {
        let mut line = self.first.number;
        let mut seen = self.first.start;
        let flag = |flag: &RawFlag| {
            let span = self.logical.source(flag.at)..self.logical.source_end(flag.end);
            let newlines = memchr::memchr_iter(b'\n', &self.source[seen..span.start]).count();
            line = line.saturating_add(u32::try_from(newlines).unwrap_or(u32::MAX));
            seen = span.start;
            Flag { name: flag.name.clone(), value: flag.value.clone(), span, line }
        };
        flags.iter().map(flag).collect()
    }
}

/// An instruction, and whether heredocs may follow it.
fn read(head: &Head<'_>, place: &Place<'_>, escape: char) -> Result<(Instruction, bool), Fault> {
    let Some(keyword) = head.keyword else { return Err(unknown(head.word)) };
    let form = form::read(keyword, head.rest, escape)?;
    let is_heredoc = takes_heredocs(keyword, &form);
    let body = arguments::check(head.arguments(keyword, form, escape))?;
    let (body, is_heredoc) = match keyword {
        Keyword::Onbuild => onbuild(head, place, escape)?,
        _ => (body, is_heredoc),
    };
    let instruction = place.instruction(keyword, head, body);
    Ok((Instruction { span: place.first.start..place.first.end, ..instruction }, is_heredoc))
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
    Ok((Body::Onbuild(Box::new(place.instruction(keyword, &inner, body))), is_heredoc))
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

fn attach(body: &mut Body, read: Vec<Heredoc>) {
    match body {
        Body::Run(command) => command.heredocs = read,
        Body::Copy { heredocs, .. } => *heredocs = read,
        Body::Onbuild(inner) => match &mut inner.body {
            Body::Run(command) => command.heredocs = read,
            Body::Copy { heredocs, .. } => *heredocs = read,
            _ => {}
        },
        _ => {}
    }
}

/// Sets where an instruction ends, and the one in it.
fn end(instruction: &mut Instruction, at: usize, line: u32) {
    instruction.span.end = at;
    instruction.lines = *instruction.lines.start()..=line;
    if let Body::Onbuild(inner) = &mut instruction.body {
        inner.span.end = at;
        inner.lines = *inner.lines.start()..=line;
    }
}
