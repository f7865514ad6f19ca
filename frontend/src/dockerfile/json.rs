//! JSON arrays of strings, the exec form of an instruction.
//!
//! Whatever is not JSON is a shell's text. So this must agree with Go's `encoding/json` on what JSON is.

use std::borrow::Cow;

use super::part::trim_start;

/// What a text turned out to be.
#[derive(Debug, Clone)]
pub(super) enum Array<'a> {
    /// An array of strings.
    Strings(Strings<'a>),
    /// An array with something else in it.
    Mixed,
    /// No JSON array.
    None,
}

/// How deep arrays and objects may nest in Go.
const MAX_DEPTH: usize = 10_000;

/// Reads a text as a JSON array.
pub(super) fn array(text: &str) -> Array<'_> {
    let text = trim_start(text);
    if !text.starts_with('[') {
        return Array::None;
    }
    let reader = Reader { text, at: 1 };
    match reader.clone().array() {
        Some(Elements::Strings) => Array::Strings(Strings { reader }),
        Some(Elements::Mixed) => Array::Mixed,
        None => Array::None,
    }
}

/// The strings of an array of which the syntax was checked.
#[derive(Debug, Clone)]
pub(super) struct Strings<'a> {
    reader: Reader<'a>,
}

impl Strings<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.clone().next().is_none()
    }
}

impl<'a> Iterator for Strings<'a> {
    type Item = Cow<'a, str>;

    fn next(&mut self) -> Option<Cow<'a, str>> {
        self.reader.space();
        self.reader.take(b',');
        self.reader.space();
        self.reader.string()
    }
}

/// What is in an array.
#[derive(Debug, Clone, Copy)]
enum Elements {
    Strings,
    Mixed,
}

#[derive(Debug, Clone)]
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    /// What follows the bracket that opens the array. `None` if it is not JSON.
    fn array(mut self) -> Option<Elements> {
        let mut elements = Elements::Strings;
        self.space();
        if self.take(b']') {
            return self.is_done().then_some(elements);
        }
        loop {
            self.space();
            if self.peek() == Some(b'"') {
                self.string()?;
            } else {
                elements = Elements::Mixed;
                self.value()?;
            }
            self.space();
            if self.take(b',') {
                continue;
            }
            if !self.take(b']') || !self.is_done() {
                return None;
            }
            return Some(elements);
        }
    }

    /// Skips a value of any kind. What it is within is kept on a stack of our own: depth must not cost ours.
    fn value(&mut self) -> Option<()> {
        let mut within: Vec<u8> = Vec::new();
        loop {
            self.space();
            match self.peek()? {
                open @ (b'[' | b'{') => {
                    // The array that all of this stands in counts.
                    if within.len() + 2 > MAX_DEPTH {
                        return None;
                    }
                    self.at += 1;
                    let close = if open == b'[' { b']' } else { b'}' };
                    self.space();
                    if self.take(close) {
                        // Empty: a value that is complete.
                    } else {
                        within.push(close);
                        if close == b'}' {
                            self.key()?;
                        }
                        continue;
                    }
                }
                b'"' => drop(self.string()?),
                b't' => self.word("true")?,
                b'f' => self.word("false")?,
                b'n' => self.word("null")?,
                _ => self.number()?,
            }
            // A value is complete: what it stands in goes on or ends.
            loop {
                let Some(&close) = within.last() else { return Some(()) };
                self.space();
                if self.take(b',') {
                    if close == b'}' {
                        self.space();
                        self.key()?;
                    }
                    break;
                }
                if !self.take(close) {
                    return None;
                }
                within.pop();
            }
        }
    }

    fn key(&mut self) -> Option<()> {
        self.string()?;
        self.space();
        self.take(b':').then_some(())
    }

    fn string(&mut self) -> Option<Cow<'a, str>> {
        if !self.take(b'"') {
            return None;
        }
        let mut string = Cow::Borrowed("");
        loop {
            let rest = &self.text[self.at..];
            let end = rest.bytes().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
            // The first piece stays borrowed.
            string += &rest[..end];
            self.at += end + 1;
            match rest.as_bytes()[end] {
                b'"' => return Some(string),
                b'\\' => string.to_mut().push(self.escape()?),
                _ => return None,
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        let escape = self.peek()?;
        self.at += 1;
        Some(match escape {
            b'"' | b'\\' | b'/' => char::from(escape),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = self.hex()?;
                if let Some(c) = char::from_u32(high) {
                    return Some(c);
                }
                // Half of a pair: with its other half a character, without it a replacement.
                let here = self.at;
                if high < 0xdc00 && self.take(b'\\') && self.take(b'u') {
                    let low = self.hex()?;
                    if (0xdc00..0xe000).contains(&low) {
                        return char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00));
                    }
                }
                self.at = here;
                char::REPLACEMENT_CHARACTER
            }
            _ => return None,
        })
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }

    fn number(&mut self) -> Option<()> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        // Go refuses a number that a float cannot hold, so the whole is not JSON.
        let number: f64 = self.text[start..self.at].parse().ok()?;
        number.is_finite().then_some(())
    }

    fn digits(&mut self) -> Option<()> {
        let rest = &self.text.as_bytes()[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        (count > 0).then_some(())
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.text[self.at..].starts_with(word).then(|| self.at += word.len())
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn is_done(&mut self) -> bool {
        self.space();
        self.at == self.text.len()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }
}
