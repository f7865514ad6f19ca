//! A line for cron. Its file has no quoting of its own (crontab(5)): what a line cannot hold is refused, since it would become another
//! command, or another line.

use super::{File, Setup};
use crate::error::{Blame, Explain};

const CRON: &str = include_str!("ci-build-sweep.cron");

/// What a file of cron cannot hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a file of cron cannot hold '{}': {why}", text.escape_debug())]
pub struct Unsayable {
    text: String,
    why: &'static str,
}

impl Explain for Unsayable {
    fn blame(&self) -> Blame {
        Blame::Input
    }

    fn help(&self) -> Vec<String> {
        vec!["give it another name, or take --install systemd, which can say it".into()]
    }
}

/// The file.
///
/// # Errors
/// When a word or a variable cannot stand in it.
pub(super) fn file(setup: &Setup) -> Result<File, Unsayable> {
    let command: Vec<String> = setup.command().map(word).collect::<Result<_, _>>()?;
    let variables: String =
        setup.environment.iter().map(|(name, value)| variable(name, value)).collect::<Result<_, _>>()?;
    let text = CRON
        .replace("@USER@", setup.user.as_deref().unwrap_or("root"))
        .replace("@COMMAND@", &command.join(" "))
        .replace("@ENVIRONMENT@\n", &variables);
    Ok(File { place: "/etc/cron.d/ci-build-sweep", text })
}

/// A word as cron's shell reads it.
fn word(word: &str) -> Result<String, Unsayable> {
    let refuse = |why| Err(Unsayable { text: word.into(), why });
    if word.contains(char::is_control) {
        return refuse("it has a line break or another control character");
    }
    // Some take `\%` for it, others hand both on to the shell.
    if word.contains('%') {
        return refuse("it has a '%', at which cron ends a command");
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return Ok(word.into());
    }
    Ok(format!("'{}'", word.replace('\'', "'\\''")))
}

/// A line that sets a variable. cron takes spaces and quotes around a value away.
fn variable(name: &str, value: &str) -> Result<String, Unsayable> {
    let line = format!("{name}={value}\n");
    let refuse = |why| Err(Unsayable { text: format!("{name}={value}"), why });
    let is_stripped = |c: char| c.is_whitespace() || c == '"' || c == '\'';
    match () {
        () if value.contains(char::is_control) => refuse("it has a line break or another control character"),
        () if value.contains('%') => refuse("it has a '%', which some cron take for a line break"),
        () if value.starts_with(is_stripped) || value.ends_with(is_stripped) => {
            refuse("its value begins or ends with a space or a quote, which cron takes away")
        }
        () => Ok(line),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn setup(words: &[&str], environment: &[(&str, &str)]) -> Setup {
        Setup {
            program: "/usr/bin/ci-build".into(),
            words: words.iter().map(|&word| word.into()).collect(),
            directories: Vec::new(),
            environment: environment
                .iter()
                .map(|&(name, value)| (name.into(), value.into()))
                .collect::<BTreeMap<_, _>>(),
            user: None,
        }
    }

    #[test]
    fn words_keep_their_meaning() {
        let setup = setup(&["sweep", "--keep", "a b$c's", "/cache"], &[("HF_HOME", "/data/a b")]);
        let file = file(&setup).unwrap();
        assert!(file.text.contains("\nHF_HOME=/data/a b\n"));
        insta::assert_snapshot!(file.text.lines().last().unwrap(), @r"17 4 * * * root /usr/bin/ci-build sweep --keep 'a b$c'\''s' /cache");
    }

    #[test]
    fn what_a_line_cannot_hold_is_refused() {
        let of_words = |word: &str| file(&setup(&["sweep", word], &[])).unwrap_err().to_string();
        let of_values = |value: &str| file(&setup(&["sweep"], &[("HOME", value)])).unwrap_err().to_string();
        let line = "/cache\n* * * * * root rm -r /x";
        insta::assert_snapshot!(of_words(line), @r"a file of cron cannot hold '/cache\n* * * * * root rm -r /x': it has a line break or another control character");
        insta::assert_snapshot!(of_words("/cache%1"), @"a file of cron cannot hold '/cache%1': it has a '%', at which cron ends a command");
        insta::assert_snapshot!(of_values(line), @r"a file of cron cannot hold 'HOME=/cache\n* * * * * root rm -r /x': it has a line break or another control character");
        insta::assert_snapshot!(of_values("/100%"), @"a file of cron cannot hold 'HOME=/100%': it has a '%', which some cron take for a line break");
        insta::assert_snapshot!(of_values("/a "), @"a file of cron cannot hold 'HOME=/a ': its value begins or ends with a space or a quote, which cron takes away");
        assert!(of_words("\r").contains("line break") && of_values("'x'").contains("quote"));
    }
}
