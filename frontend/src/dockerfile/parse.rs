//! Text to instructions.

use super::directive::Directives;
use super::error::Fault;
pub use super::error::SyntaxError;
use super::heredoc;
use super::instruction::{Comment, Directive, Dockerfile, Instruction, Item, Keyword};
use super::lines::{BOM, Joiner, Line, Lines};
use super::part::trim_start;
use super::statement::{self, Place};

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
    let text = text(source)?;
    let mut lines = Lines::new(text);
    let mut joiner = Joiner::default();
    let mut reader = Reader {
        source,
        directives: Directives::default(),
        items: Vec::with_capacity(source.len() / BYTES_PER_ITEM + 1),
        comments: 0,
    };
    if text.starts_with(BOM) {
        reader.items.push(Item::Blank(0..BOM.len()));
    }
    let mut has_stage = false;
    let mut has_instruction = false;
    while let Some(line) = lines.next()? {
        if !reader.directives.are_over
            && let Some(directive) = reader.directive(&line)?
        {
            reader.items.push(Item::Directive(directive));
            continue;
        }
        match trim_start(line.text).as_bytes().first() {
            None => {
                reader.blank(&line);
                continue;
            }
            Some(b'#') => {
                reader.comment(&line);
                continue;
            }
            Some(_) => {}
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
    /// The first item after the last instruction or empty comment.
    comments: usize,
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
        let is_empty = text.is_empty();
        self.items.push(Item::Comment(comment));
        if is_empty {
            self.comments = self.items.len();
        }
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
        let (mut instruction, is_heredoc) = statement::read(&place, escape).map_err(error)?;
        if is_heredoc && let Some(at) = heredoc::sign(logical.text) {
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
            statement::attach(&mut instruction, heredocs);
        }
        instruction.comments = self.comments..self.items.len();
        self.comments = self.items.len() + 1;
        statement::end(&mut instruction, lines.at(), lines.number());
        Ok(instruction)
    }
}
