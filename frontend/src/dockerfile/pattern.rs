//! `*` and `?` patterns of `${name#pattern}`, `${name%pattern}` and `${name/pattern/…}`.

use super::lex::ExpandError;

/// How many steps all the matching in a word may take.
const MAX_STEPS: usize = 1 << 26;

/// What is left of them.
#[derive(Debug)]
pub(super) struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Self(MAX_STEPS)
    }
}

impl Budget {
    fn spend(&mut self, steps: usize) -> Result<(), ExpandError> {
        self.0 = self.0.checked_sub(steps).ok_or(ExpandError::TooCostly)?;
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    /// Any characters but newlines.
    Star,
    /// Any character but a newline.
    Any,
    Char(char),
}

/// A pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Token>);

impl Pattern {
    /// Reads a pattern, in which a backslash makes `*`, `?` and itself ordinary. Before `}` and `/`, which it keeps from
    /// ending the pattern, it is no part of it.
    pub(super) fn read(pattern: &str) -> Result<Self, ExpandError> {
        let mut tokens = Vec::with_capacity(pattern.len());
        let mut chars = pattern.chars().peekable();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                '*' => Token::Star,
                '?' => Token::Any,
                '\\' => match chars.peek() {
                    Some('}' | '/') => continue,
                    Some(&escaped @ ('*' | '?' | '\\')) => {
                        chars.next();
                        Token::Char(escaped)
                    }
                    other => {
                        return Err(ExpandError::Pattern {
                            pattern: pattern.to_owned(),
                            escaped: other.map(char::to_string).unwrap_or_default(),
                        });
                    }
                },
                c => Token::Char(c),
            });
        }
        Ok(Self(tokens))
    }

    /// Reads a pattern from its end, for [`Self::without_suffix`]. Pairs of backslash and character stay pairs.
    pub(super) fn read_reversed(pattern: &str) -> Result<Self, ExpandError> {
        let mut pairs = Vec::new();
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            pairs.push((c, if c == '\\' { chars.next() } else { None }));
        }
        let mut reversed = String::with_capacity(pattern.len());
        for (c, escaped) in pairs.into_iter().rev() {
            reversed.push(c);
            reversed.extend(escaped);
        }
        Self::read(&reversed)
    }

    /// A text without what matches at its beginning, the longest or the shortest of it.
    pub(super) fn without_prefix(
        &self,
        text: &str,
        longest: bool,
        budget: &mut Budget,
    ) -> Result<String, ExpandError> {
        let text: Vec<char> = text.chars().collect();
        let end = self.end(&text, longest, budget)?.unwrap_or(0);
        Ok(text[end..].iter().collect())
    }

    /// A text without what matches at its end. The pattern is the reversed one.
    pub(super) fn without_suffix(
        &self,
        text: &str,
        longest: bool,
        budget: &mut Budget,
    ) -> Result<String, ExpandError> {
        let text: Vec<char> = text.chars().rev().collect();
        let end = self.end(&text, longest, budget)?.unwrap_or(0);
        Ok(text[end..].iter().rev().collect())
    }

    /// A text with its first match replaced, the longest at that place, or every match.
    ///
    /// Where every match is replaced, Go expands `$name` in the replacement. Patterns have no groups, so what comes out
    /// is empty, but for `$0`, the match, and `$$`.
    pub(super) fn replace(
        &self,
        text: &str,
        new: &str,
        all: bool,
        budget: &mut Budget,
    ) -> Result<String, ExpandError> {
        let text: Vec<char> = text.chars().collect();
        let mut out = String::new();
        let mut copied = 0;
        let mut start = 0;
        while start <= text.len() {
            let Some(length) = self.end(&text[start..], true, budget)? else {
                start += 1;
                continue;
            };
            let end = start + length;
            budget.spend(new.len().saturating_mul(length + 1))?;
            out.extend(&text[copied..start]);
            if !all {
                out.push_str(new);
                copied = end;
                break;
            }
            // Nothing, right behind another match, is no match.
            if end > copied || start == 0 {
                template(new, &text[start..end], &mut out);
            }
            copied = end;
            start = end.max(start + 1);
        }
        out.extend(&text[copied..]);
        Ok(out)
    }

    /// Where a match ends that begins at the beginning.
    ///
    /// Follows all the places in the pattern that the text can have led to, so it takes at most the product of both
    /// lengths, whatever the pattern.
    fn end(&self, text: &[char], longest: bool, budget: &mut Budget) -> Result<Option<usize>, ExpandError> {
        let mut places = vec![false; self.0.len() + 1];
        places[0] = true;
        let mut found = None;
        for at in 0..=text.len() {
            budget.spend(places.len())?;
            for place in 0..self.0.len() {
                if places[place] && self.0[place] == Token::Star {
                    places[place + 1] = true;
                }
            }
            if places[self.0.len()] {
                found = Some(at);
                if !longest {
                    break;
                }
            }
            let Some(&c) = text.get(at) else { break };
            let mut is_alive = false;
            for place in (0..=self.0.len()).rev() {
                let stays = places[place] && c != '\n' && self.0.get(place) == Some(&Token::Star);
                let comes = place.checked_sub(1).is_some_and(|before| {
                    places[before]
                        && match self.0[before] {
                            Token::Char(wanted) => wanted == c,
                            Token::Any => c != '\n',
                            Token::Star => false,
                        }
                });
                places[place] = stays || comes;
                is_alive |= places[place];
            }
            if !is_alive {
                break;
            }
        }
        Ok(found)
    }
}

/// `Regexp.Expand` for a match without groups.
fn template(template: &str, matched: &[char], out: &mut String) {
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(behind) = behind.strip_prefix('$') {
            out.push('$');
            rest = behind;
            continue;
        }
        let braced = behind.strip_prefix('{');
        let text = braced.unwrap_or(behind);
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        let is_closed = braced.is_none() || text[end..].starts_with('}');
        if end == 0 || !is_closed {
            out.push('$');
            rest = behind;
            continue;
        }
        if &text[..end] == "0" {
            out.extend(matched);
        }
        rest = &text[end + usize::from(braced.is_some())..];
    }
    out.push_str(rest);
}
