//! A flag as it stands in the source: what each of its characters means, and how to change one option of it.
//!
//! Three layers lie on top of each other: lines are joined, the flag's quotes and escapes are taken off, and the value is
//! a line of comma-separated values. Every character that is left knows its bytes, so an option can be changed without
//! touching a quote, a continuation, or a comment between two lines.

use std::ops::Range;

use super::splice::Splice;

/// A character of a flag's value, quotes and escapes taken off. As upstream, bytes are taken for Latin-1.
#[derive(Debug, Clone)]
struct Char {
    char: char,
    /// With the escape before it.
    at: Range<usize>,
}

/// One comma-separated part of a value.
#[derive(Debug)]
struct Field {
    /// Its characters without the quotes of a quoted part, by their places.
    chars: Vec<usize>,
    text: String,
}

/// A flag with a value.
#[derive(Debug)]
pub(super) struct FlagText {
    chars: Vec<Char>,
    fields: Vec<Field>,
    escape: char,
    /// Where the value begins.
    start: usize,
}

impl FlagText {
    /// Reads the flag at `span`. None if it has no value that can be changed.
    pub(super) fn read(source: &str, span: Range<usize>, escape: char) -> Option<Self> {
        let mut chars = unquoted(&joined(source, span, escape)?, escape);
        let equals = chars.iter().position(|char| char.char == '=')?;
        let start = chars[equals].at.end;
        chars.drain(..=equals);
        let fields = fields(&chars);
        Some(Self { chars, fields, escape, start })
    }

    /// The value of an option, the last one if there are several.
    pub(super) fn option(&self, name: &str) -> Option<&str> {
        self.find(name).map(|(field, value)| &field.text[value..])
    }

    fn find(&self, name: &str) -> Option<(&Field, usize)> {
        self.fields.iter().rev().find_map(|field| {
            let (key, _) = field.text.split_once('=')?;
            key.eq_ignore_ascii_case(name).then_some((field, key.len() + 1))
        })
    }

    /// The whole value becomes another one, which needs no quotes.
    pub(super) fn set_value(&self, value: &str) -> Vec<Splice> {
        self.replace(&(0..self.chars.len()).collect::<Vec<_>>(), self.start, value)
    }

    /// Sets an option to a value that needs no quotes.
    pub(super) fn set(&self, name: &str, value: &str) -> Vec<Splice> {
        match self.find(name) {
            Some((field, from)) => {
                let from = field.text[..from].chars().count();
                self.replace(&field.chars[from..], self.chars[field.chars[from - 1]].at.end, value)
            }
            None => self.append(&format!("{name}={value}")),
        }
    }

    /// Puts something that needs no quotes behind the value of an option. None if there is no such option.
    pub(super) fn extend(&self, name: &str, more: &str) -> Option<Vec<Splice>> {
        let (field, _) = self.find(name)?;
        let last = field.chars.last()?;
        Some(vec![Splice::insert(self.chars[*last].at.end, more)])
    }

    /// Adds an option, whatever is in it.
    pub(super) fn append(&self, option: &str) -> Vec<Splice> {
        let option = if option.contains([',', '"']) {
            format!("\"{}\"", option.replace('"', "\"\""))
        } else {
            option.to_owned()
        };
        let mut text = String::from(",");
        for char in option.chars() {
            if char.is_whitespace() || matches!(char, '\'' | '"') || char == self.escape {
                text.push(self.escape);
            }
            text.push(char);
        }
        vec![Splice::insert(self.chars.last().map_or(self.start, |last| last.at.end), text)]
    }

    /// Takes characters out one by one, so that what stands between them stays, and puts a text in the place of the first.
    fn replace(&self, chars: &[usize], otherwise: usize, by: &str) -> Vec<Splice> {
        let Some((first, rest)) = chars.split_first() else { return vec![Splice::insert(otherwise, by)] };
        let mut splices = vec![Splice { at: self.chars[*first].at.clone(), by: by.to_owned() }];
        for place in rest {
            let at = self.chars[*place].at.clone();
            match splices.last_mut() {
                Some(last) if last.at.end == at.start => last.at.end = at.end,
                _ => splices.push(Splice { at, by: String::new() }),
            }
        }
        splices
    }
}

/// The bytes that are left when lines are joined, with their places.
fn joined(source: &str, span: Range<usize>, escape: char) -> Option<Vec<(u8, usize)>> {
    let text = source.get(span.clone())?;
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = span.start;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let is_last = at + line.len() == span.end;
        let bare = line.trim();
        if is_last || number == 0 || !(bare.is_empty() || bare.starts_with('#')) {
            let kept = if is_last {
                line
            } else {
                let line = line.trim_end_matches(['\n', '\r']).trim_end_matches([' ', '\t']);
                line.strip_suffix(escape)?
            };
            bytes.extend(kept.bytes().zip(at..));
        }
        at += line.len();
    }
    Some(bytes)
}

/// The characters that are left when quotes and escapes are taken off.
fn unquoted(bytes: &[(u8, usize)], escape: char) -> Vec<Char> {
    let mut chars = Vec::with_capacity(bytes.len());
    let mut quote = None;
    let mut escaped_at = None;
    for (byte, at) in bytes.iter().copied() {
        let char = char::from(byte);
        if let Some(start) = escaped_at.take() {
            chars.push(Char { char, at: start..at + 1 });
        } else if quote == Some(char) {
            quote = None;
        } else if quote.is_none() && matches!(char, '\'' | '"') {
            quote = Some(char);
        } else if char == escape {
            escaped_at = Some(at);
        } else {
            chars.push(Char { char, at: at..at + 1 });
        }
    }
    chars
}

/// The comma-separated parts, each without its quotes.
fn fields(chars: &[Char]) -> Vec<Field> {
    let mut fields = vec![Field { chars: Vec::new(), text: String::new() }];
    let mut is_quoted = false;
    let mut place = 0;
    while let Some(Char { char, .. }) = chars.get(place) {
        let next_is_quote = chars.get(place + 1).is_some_and(|next| next.char == '"');
        let Some(field) = fields.last_mut() else { break };
        match char {
            '"' if is_quoted && next_is_quote => {
                place += 1;
                field.chars.push(place);
                field.text.push('"');
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(Field { chars: Vec::new(), text: String::new() }),
            _ => {
                field.chars.push(place);
                field.text.push(*char);
            }
        }
        place += 1;
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::super::splice::Text;
    use super::*;

    fn changed(flag: &str, change: impl Fn(&FlagText) -> Vec<Splice>) -> String {
        let read = FlagText::read(flag, 0..flag.len(), '\\').unwrap();
        Text::new(flag).with(change(&read)).unwrap().text
    }

    #[test]
    fn an_option_is_set_where_it_stands() {
        let locked = |flag: &str| changed(flag, |flag| flag.set("sharing", "locked"));
        insta::assert_snapshot!(locked("--mount=type=cache,sharing=shared,target=/x"), @"--mount=type=cache,sharing=locked,target=/x");
        insta::assert_snapshot!(locked("--mount=type=cache,target=/x"), @"--mount=type=cache,target=/x,sharing=locked");
        insta::assert_snapshot!(locked("--mount=\"type=cache,target=/x\""), @r#"--mount="type=cache,target=/x,sharing=locked""#);
        insta::assert_snapshot!(locked("--mount='type=cache,\"target=/a,b\"'"), @r#"--mount='type=cache,"target=/a,b",sharing=locked'"#);
        insta::assert_snapshot!(locked("--mount=type=cache,Sharing=sh\"ared,target=/x y\""), @r#"--mount=type=cache,Sharing=locked",target=/x y""#);
        insta::assert_snapshot!(locked("--mount=type=cache,sharing=${MODE},target=/x"), @"--mount=type=cache,sharing=locked,target=/x");
        insta::assert_snapshot!(locked("--mount=type=cache,sha\\\r\n# why\r\n\r\nring=sh\\\r\nared,target=/x"), @r"
        --mount=type=cache,sha\
        # why

        ring=locked\
        ,target=/x
        ");
    }

    #[test]
    fn what_is_added_is_quoted() {
        insta::assert_snapshot!(changed("--mount=target=/x", |flag| flag.append("id=a b,\"c\"")), @r#"--mount=target=/x,\"id=a\ b,\"\"c\"\"\""#);
        insta::assert_snapshot!(changed("--mount='\"id=a,b\",target=/x'", |flag| flag.extend("id", "@s").unwrap()), @r#"--mount='"id=a,b@s",target=/x'"#);
    }
}
