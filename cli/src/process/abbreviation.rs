//! A command as others are shown it.

use super::discretion::without_logins;

/// So many characters tell which one it is.
const LONGEST: usize = 120;

/// The command on one line, which ends with `…` where it went on, without the logins of addresses.
pub(crate) fn abbreviated(command: &str) -> String {
    let line = without_logins(command);
    let mut line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
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
        assert_eq!(abbreviated("build https://token@host/a.git"), "build https://…@host/a.git");
    }
}
