//! Versions as programs tell them: `28.5.2+dfsg1`, `v0.12.5`, `1.2.0-rc.1`.

/// The three numbers of a version; none where the text has no such form.
pub(super) fn parse(text: &str) -> Option<(u64, u64, u64)> {
    let text = text.trim().trim_start_matches('v');
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let mut numbers = text.get(..end)?.split('.').map(str::parse::<u64>);
    let mut next = || numbers.next()?.ok();
    Some((next()?, next()?, next().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn what_distributors_add_is_left_out() {
        assert_eq!(parse("28.5.2+dfsg1"), Some((28, 5, 2)));
        assert_eq!(parse("v0.12.5"), Some((0, 12, 5)));
        assert_eq!(parse("1.2.0-rc.1"), Some((1, 2, 0)));
        assert_eq!(parse("0.13"), Some((0, 13, 0)));
        assert_eq!(parse("buildx-stable-1"), None);
        assert_eq!(parse(""), None);
    }
}
