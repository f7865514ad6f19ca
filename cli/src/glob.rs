//! `*`, which stands for any text, and `?`, for one character of it: in names of images, in tags, in names of files.

/// Whether a text is like the pattern: in characters, or in bytes where it need be no text.
///
/// Each `*` need only be tried with the shortest text that lets what follows it match: at most pattern times text steps.
pub(crate) fn matches<T: Copy + PartialEq + From<u8>>(pattern: &[T], text: &[T]) -> bool {
    let (any, one) = (T::from(b'*'), T::from(b'?'));
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(&c) if c == any => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == one || c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, from)) => {
                    (p, t) = (at + 1, from + 1);
                    star = Some((at, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == any)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn model(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => (0..=text.len()).any(|cut| model(rest, &text[cut..])),
            ([b'?', rest @ ..], [_, tail @ ..]) => model(rest, tail),
            ([c, rest @ ..], [d, tail @ ..]) => c == d && model(rest, tail),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_its_definition(pattern in "[ab*?]{0,7}", text in "[ab*?]{0,7}") {
            let expected = model(pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected);
            let characters = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&characters(&pattern), &characters(&text)), expected);
        }
    }
}
