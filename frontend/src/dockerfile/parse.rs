//! Text to instructions.

use super::directive::{DirectiveName, Directives};
use super::error::Fault;
pub use super::error::SyntaxError;
use super::heredoc;
use super::instruction::{Body, Dockerfile, Instruction};
use super::keyword::Keyword;
use super::lines::{self, Joiner, Line, Lines, MAX_LINE};
use super::part::trim_start;
use super::span::Span;
use super::statement;

/// The bytes that an instruction of real files has at the least, on average.
const BYTES_PER_INSTRUCTION: usize = 64;

/// Reads a Dockerfile.
///
/// Accepts what BuildKit's parser accepts (`parser.Parse` and `instructions.Parse`, which `docker build --call=targets`
/// runs), with these differences: the text must be UTF-8, hold no NUL and be no larger than [`Span::MAX_SOURCE`]. Takes
/// time and memory in proportion to the text.
///
/// # Errors
///
/// At the first place at which BuildKit would refuse the file, with what is wrong there.
pub fn parse(source: &[u8]) -> Result<Dockerfile<'_>, SyntaxError> {
    let source = text(source)?;
    let mut reader = Reader::new(source);
    while let Some(line) = reader.lines.next() {
        reader.line(line)?;
    }
    if reader.seen == Seen::Nothing {
        return Err(reader.error(source.len(), "there is no instruction in it"));
    }
    let Directives { escape, read: directives, .. } = reader.directives;
    Ok(Dockerfile { source, escape, directives, instructions: reader.instructions })
}

/// What stands behind `# syntax=` at the top of a Dockerfile, whatever stands below: the image of the frontend that reads it,
/// and words for that.
#[must_use]
pub fn syntax_line(source: &[u8]) -> Option<&str> {
    let mut directives = Directives::default();
    for line in Lines::new(source.utf8_chunks().next()?.valid()) {
        if !directives.read(&line).ok()? {
            break;
        }
    }
    let syntax = directives.read.iter().find(|directive| directive.name == DirectiveName::Syntax)?;
    Some(syntax.value)
}

/// The source as text.
fn text(source: &[u8]) -> Result<&str, SyntaxError> {
    if source.len() > Span::MAX_SOURCE {
        let message = format!("the file is larger than {} MiB", Span::MAX_SOURCE >> 20);
        return Err(SyntaxError::at(source, 0, message).with_help("is this a Dockerfile?"));
    }
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
    directives: Directives<'a>,
    seen: Seen,
    instructions: Vec<Instruction<'a>>,
}

impl<'a> Reader<'a> {
    fn new(source: &'a str) -> Self {
        Self {
            source,
            lines: Lines::new(source),
            joiner: Joiner::default(),
            directives: Directives::default(),
            seen: Seen::Nothing,
            instructions: Vec::with_capacity(source.len() / BYTES_PER_INSTRUCTION + 1),
        }
    }

    /// Reads what begins on a line.
    fn line(&mut self, line: Line<'a>) -> Result<(), SyntaxError> {
        if !self.directives.are_over {
            let is_directive = self.directives.read(&line);
            if is_directive.map_err(|message| self.error(line.start, message))? {
                return Ok(());
            }
        }
        match trim_start(line.text).as_bytes().first() {
            None | Some(b'#') => Ok(()),
            Some(_) => self.instruction(&line),
        }
    }

    fn instruction(&mut self, first: &Line<'a>) -> Result<(), SyntaxError> {
        let escape = self.directives.escape;
        let source = self.source.as_bytes();
        let logical = self.joiner.join(*first, &mut self.lines, escape);
        let error = |fault: Fault| {
            let error = SyntaxError::at(source, logical.place(fault.at), fault.message);
            fault.help.into_iter().fold(error, SyntaxError::with_help)
        };
        let (mut instruction, takes_heredocs) = statement::read(&logical, first, escape).map_err(error)?;
        self.seen = match (self.seen, instruction.keyword) {
            (Seen::Stage, _) | (_, Keyword::From) => Seen::Stage,
            (_, Keyword::Arg) => Seen::Arguments,
            (_, keyword) => {
                let message = format!("{} stands before the first FROM", keyword.name());
                return Err(error(Fault::new(0, message).with_help("only ARG may: put a FROM in front")));
            }
        };
        let mut heredocs = Vec::new();
        if takes_heredocs && let Some(at) = heredoc::sign(logical.text) {
            let announced = heredoc::announced(logical.text)
                .map_err(|cause| error(Fault::new(at, format!("bad name of a heredoc: {cause}"))))?;
            heredocs.reserve_exact(announced.len());
            for announced in announced {
                let heredoc = heredoc::read(&announced, &mut self.lines).ok_or_else(|| {
                    let message = format!("heredoc {} is never closed", announced.name);
                    let help = format!("end it with a line that holds {} alone", announced.name);
                    error(Fault::new(at, message).with_help(help))
                })?;
                heredocs.push(heredoc);
            }
        }
        let Span { end, .. } = Span::from(first.start..self.lines.at());
        if let Body::Onbuild(trigger) = &mut instruction.body {
            trigger.finish(end, std::mem::take(&mut heredocs));
        }
        instruction.finish(end, heredocs);
        self.instructions.push(instruction);
        Ok(())
    }

    fn error(&self, at: usize, message: impl Into<String>) -> SyntaxError {
        SyntaxError::at(self.source.as_bytes(), at, message)
    }
}
