//! How wide text is. The fonts are monospaced, so that it can be known without them.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// The width of a cell in hundredths of the font's size: that of DejaVu Sans Mono and Menlo, the widest of those asked for.
const CELL: usize = 61;

/// How many cells a text takes; a wide character takes two.
pub(super) fn cells(text: &str) -> usize {
    text.width()
}

/// How wide so many cells are, in pixels.
pub(super) fn pixels(cells: usize, size: usize) -> usize {
    (cells * size * CELL).div_ceil(100)
}

/// How many cells there is room for.
pub(super) fn room(pixels: usize, size: usize) -> usize {
    pixels * 100 / (size * CELL)
}

/// The text's beginning, in at most so many cells.
pub(super) fn fit(text: &str, most: usize) -> String {
    if cells(text) <= most {
        return text.to_owned();
    }
    let mut left = most.saturating_sub(1);
    let kept = text.chars().take_while(|c| take(&mut left, *c));
    kept.chain((most > 0).then_some('…')).collect()
}

/// The text's end, in at most so many cells: paths differ there.
pub(super) fn fit_end(text: &str, most: usize) -> String {
    if cells(text) <= most {
        return text.to_owned();
    }
    let mut left = most.saturating_sub(1);
    let kept: Vec<_> = text.chars().rev().take_while(|c| take(&mut left, *c)).collect();
    (most > 0).then_some('…').into_iter().chain(kept.into_iter().rev()).collect()
}

fn take(left: &mut usize, c: char) -> bool {
    let width = c.width().unwrap_or(1);
    let is_room = width <= *left;
    *left = left.saturating_sub(width);
    is_room
}

/// Lines of at most so many cells, broken between words; a longer word is cut.
pub(super) fn wrap(text: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let word = fit(word, most);
        match lines.last_mut() {
            Some(line) if cells(line) + 1 + cells(&word) <= most => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_fits() {
        assert_eq!(fit("/root/.cache", 12), "/root/.cache");
        assert_eq!(fit("/root/.cache", 6), "/root…");
        assert_eq!(fit("日本語", 5), "日本…");
        assert_eq!(fit("日本語", 4), "日…");
        assert_eq!(fit_end("/root/.cache", 6), "…cache");
        assert_eq!(fit_end("日本語", 4), "…語");
        assert_eq!((fit("ab", 0), fit_end("ab", 0)), (String::new(), String::new()));
        assert_eq!(wrap("one two  three fourfive", 8), ["one two", "three", "fourfive"]);
        assert_eq!(wrap("a longerword", 5), ["a", "long…"]);
        assert!(pixels(room(296, 11), 11) <= 296);
    }
}
