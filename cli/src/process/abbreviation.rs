//! A command as others are shown it.

/// So many characters tell which one it is.
const LONGEST: usize = 120;

/// The command on one line, which ends with `…` where it went on.
pub(crate) fn abbreviated(command: &str) -> String {
    let mut line: String = command.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if let Some((end, _)) = line.char_indices().nth(LONGEST) {
        line.truncate(end);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_command_is_cut_and_says_so() {
        assert_eq!(abbreviated("make\nall"), "make all");
        let fits = "ä".repeat(LONGEST);
        assert_eq!(abbreviated(&fits), fits);
        assert_eq!(abbreviated(&format!("{fits}b")), format!("{fits}…"));
    }
}
