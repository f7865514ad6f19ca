//! Text to instructions.

use super::directive::Directives;
use super::error::Fault;
pub use super::error::SyntaxError;
use super::heredoc;
use super::instruction::{Body, Comment, Dockerfile, Instruction, Item, Keyword};
use super::lines::{self, BOM, Joiner, Line, Lines, MAX_LINE};
use super::part::trim_start;
use super::statement::{self, Place, Statement};

/// The bytes that an instruction or comment of real files has at the least, on average.
const BYTES_PER_ITEM: usize = 48;

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
    let mut reader = Reader::new(text(source)?);
    while let Some(line) = reader.lines.next() {
        reader.line(line)?;
    }
    if reader.seen == Seen::Nothing {
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
    if let Some(nul) = memchr::memchr(0, source) {
        return Err(SyntaxError::at(source, nul, "there is a NUL byte in the text")
            .with_help("is this a Dockerfile?"));
    }
    if let Some((start, length)) = lines::too_long(text) {
        let message = format!("line of {length} bytes is longer than the {MAX_LINE} that are allowed");
        return Err(SyntaxError::at(source, start, message).with_help("continue it on another line"));
    }
    Ok(text)
}

/// Which instructions there were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Nothing,
    /// ARG, before the first stage.
    Arguments,
    Stage,
}

struct Reader<'a> {
    source: &'a str,
    lines: Lines<'a>,
    joiner: Joiner,
    directives: Directives,
    seen: Seen,
    items: Vec<Item>,
    /// The first item after the last instruction or empty comment.
    comments: usize,
}

impl<'a> Reader<'a> {
    fn new(source: &'a str) -> Self {
        let mut items = Vec::with_capacity(source.len() / BYTES_PER_ITEM + 1);
        if source.starts_with(BOM) {
            items.push(Item::Blank(0..BOM.len()));
        }
        Self {
            source,
            lines: Lines::new(source),
            joiner: Joiner::default(),
            directives: Directives::default(),
            seen: Seen::Nothing,
            items,
            comments: 0,
        }
    }

    /// Reads what begins on a line.
    fn line(&mut self, line: Line<'a>) -> Result<(), SyntaxError> {
        if !self.directives.are_over {
            let directive = self.directives.read(&line);
            let directive = directive.map_err(|message| self.error(line.start, message))?;
            if let Some(directive) = directive {
                self.items.push(Item::Directive(directive));
                return Ok(());
            }
        }
        match trim_start(line.text).as_bytes().first() {
            None => self.blank(&line),
            Some(b'#') => self.comment(&line),
            Some(_) => self.instruction(line)?,
        }
        Ok(())
    }

    /// Lines with nothing on them are one item.
    fn blank(&mut self, line: &Line<'_>) {
        match self.items.last_mut() {
            Some(Item::Blank(blank)) => blank.end = line.end,
            _ => self.items.push(Item::Blank(line.start..line.end)),
        }
    }

    fn comment(&mut self, line: &Line<'_>) {
        // Upstream takes a character off and white space around what is left. So an indented comment keeps its sign.
        let text = line.text.strip_prefix('#').unwrap_or(line.text).trim();
        let comment = Comment { text: text.to_owned(), span: line.start..line.end, line: line.number };
        self.items.push(Item::Comment(comment));
        if text.is_empty() {
            self.comments = self.items.len();
        }
    }

    fn instruction(&mut self, first: Line<'a>) -> Result<(), SyntaxError> {
        let escape = self.directives.escape;
        let source = self.source.as_bytes();
        let logical = self.joiner.join(first, &mut self.lines, escape);
        let error = |fault: Fault| {
            let error = SyntaxError::at(source, logical.source(fault.at), fault.message);
            fault.help.into_iter().fold(error, SyntaxError::with_help)
        };
        let place = Place { source, first: &first, logical: &logical };
        let Statement { keyword, flags, mut body, takes_heredocs } =
            statement::read(&place, escape).map_err(error)?;
        self.seen = match (self.seen, keyword) {
            (Seen::Stage, _) | (_, Keyword::From) => Seen::Stage,
            (_, Keyword::Arg) => Seen::Arguments,
            _ => {
                let message = format!("{} stands before the first FROM", keyword.name());
                return Err(error(Fault::new(0, message).with_help("only ARG may: put a FROM in front")));
            }
        };
        if takes_heredocs && let Some(at) = heredoc::sign(logical.text) {
            let announced = heredoc::announced(logical.text)
                .map_err(|cause| error(Fault::new(at, format!("bad name of a heredoc: {cause}"))))?;
            let mut heredocs = Vec::with_capacity(announced.len());
            for announced in announced {
                let heredoc = heredoc::read(&announced, &mut self.lines).ok_or_else(|| {
                    let message = format!("heredoc {} is never closed", announced.name);
                    let help = format!("end it with a line that holds {} alone", announced.name);
                    error(Fault::new(at, message).with_help(help))
                })?;
                heredocs.push(heredoc);
            }
            statement::attach(&mut body, heredocs);
        }
        let (end, lines) = (self.lines.at(), first.number..=self.lines.number());
        if let Body::Onbuild(inner) = &mut body {
            inner.span.end = end;
            inner.lines = lines.clone();
        }
        let comments = self.comments..self.items.len();
        let span = first.start..end;
        self.items.push(Item::Instruction(Instruction { keyword, span, lines, comments, flags, body }));
        self.comments = self.items.len();
        Ok(())
    }

    fn error(&self, at: usize, message: String) -> SyntaxError {
        SyntaxError::at(self.source.as_bytes(), at, message)
    }
}
