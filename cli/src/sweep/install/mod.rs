//! What has a sweep run every day: units of systemd with as few rights as it needs, or a line for cron. The texts are templates beside
//! this file.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Who runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Scheduler {
    /// A service and a timer
    Systemd,
    /// A line for /etc/cron.d
    Cron,
}

/// One file to be installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Where it belongs.
    pub place: &'static str,
    /// What is in it.
    pub text: String,
}

const SERVICE: &str = include_str!("ci-build-sweep.service");
const TIMER: &str = include_str!("ci-build-sweep.timer");
const CRON: &str = include_str!("ci-build-sweep.cron");

/// What is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// The program.
    pub program: PathBuf,
    /// Its words.
    pub words: Vec<String>,
    /// The directories that it must be able to change.
    pub directories: Vec<PathBuf>,
    /// The variables that it needs.
    pub environment: BTreeMap<String, String>,
    /// As whom it runs, if not as root: what somebody's own variables name is swept with that user's rights.
    pub user: Option<String>,
}

impl Scheduler {
    /// The files that have this run.
    pub fn files(self, setup: &Setup) -> Vec<File> {
        let program = setup.program.to_string_lossy();
        let command = std::iter::once(&*program).chain(setup.words.iter().map(String::as_str));
        let variables = setup.environment.iter().map(|(name, value)| format!("{name}={value}"));
        let user = setup.user.as_deref();
        match self {
            Self::Systemd => {
                let command: Vec<String> = command.map(for_systemd).collect();
                // One that is not there yet is no reason not to sweep the others.
                let directories = setup.directories.iter().map(|path| format!("-{}", path.display()));
                let directories: Vec<String> = directories.map(|path| for_systemd(&path)).collect();
                let variables: String =
                    variables.map(|variable| format!("Environment={}\n", for_systemd(&variable))).collect();
                // Root's is the host's, which is not to become another user's.
                let state = if user.is_some() { "ci-build-sweep" } else { "ci-build" };
                let line = user.map(|user| format!("User={}\n", for_systemd(user))).unwrap_or_default();
                let text = SERVICE
                    .replace("@USER@\n", &line)
                    .replace("@STATE@", state)
                    .replace("@COMMAND@", &command.join(" "))
                    .replace("@DIRECTORIES@", &directories.join(" "))
                    .replace("@ENVIRONMENT@\n", &variables);
                vec![
                    File { place: "/etc/systemd/system/ci-build-sweep.service", text },
                    File { place: "/etc/systemd/system/ci-build-sweep.timer", text: TIMER.into() },
                ]
            }
            Self::Cron => {
                let command: Vec<String> = command.map(for_cron).collect();
                let variables: String = variables.map(|variable| variable + "\n").collect();
                let text = CRON
                    .replace("@USER@", user.unwrap_or("root"))
                    .replace("@COMMAND@", &command.join(" "))
                    .replace("@ENVIRONMENT@\n", &variables);
                vec![File { place: "/etc/cron.d/ci-build-sweep", text }]
            }
        }
    }
}

/// The words of a command line without those that ask for this.
pub fn without(words: &[String]) -> Vec<String> {
    let mut rest = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if ["--install", "--install-to"].contains(&word.as_str()) {
            words.next();
        } else if !word.starts_with("--install=") && !word.starts_with("--install-to=") {
            rest.push(word.clone());
        }
    }
    rest
}

/// A word as systemd reads it: quoted, and with what it would replace doubled (systemd.syntax(7), systemd.unit(5)).
fn for_systemd(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.into();
    }
    let mut quoted = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '%' | '$' => quoted.extend([c, c]),
            '\n' => quoted.push_str("\\n"),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// A word as cron and its shell read it. cron ends a line at `%` (crontab(5)).
fn for_cron(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', "'\\''").replace('%', "\\%").replace('\n', " "))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn words(line: &[&str]) -> Vec<String> {
        line.iter().map(|&word| word.into()).collect()
    }

    #[test]
    fn words_keep_their_meaning() {
        let line = words(&["sweep", "--install", "cron", "--keep", "a b%c's", "--install-to=/x", "/cache"]);
        assert_eq!(without(&line), words(&["sweep", "--keep", "a b%c's", "/cache"]));
        assert_eq!(for_systemd("a b%c\"$"), "\"a b%%c\\\"$$\"");
        let setup = Setup {
            program: "/usr/bin/ci-build".into(),
            words: without(&line),
            directories: Vec::new(),
            environment: BTreeMap::from([("HF_HOME".into(), "/data/a b".into())]),
            user: None,
        };
        let cron = Scheduler::Cron.files(&setup);
        assert!(cron[0].text.contains("\nHF_HOME=/data/a b\n"));
        insta::assert_snapshot!(cron[0].text.lines().last().unwrap(), @r"17 4 * * * root /usr/bin/ci-build sweep --keep 'a b\%c'\''s' /cache");
    }

    #[test]
    fn what_is_in_a_users_home_is_swept_as_that_user() {
        let setup = Setup {
            program: "/usr/bin/ci-build".into(),
            words: words(&["sweep", "--preset", "pip"]),
            directories: vec!["/home/ci/.cache/pip".into()],
            environment: BTreeMap::from([("HOME".into(), "/home/ci".into())]),
            user: Some("ci".into()),
        };
        let cron = Scheduler::Cron.files(&setup);
        assert!(
            cron[0].text.ends_with("17 4 * * * ci /usr/bin/ci-build sweep --preset pip\n"),
            "{}",
            cron[0].text
        );
        let service = |setup: &Setup| {
            let text = Scheduler::Systemd.files(setup).swap_remove(0).text;
            let told = text.lines().filter(|line| {
                ["User=", "StateDirectory=", "Environment=CI"].iter().any(|start| line.starts_with(start))
            });
            told.collect::<Vec<_>>().join(" ")
        };
        insta::assert_snapshot!(service(&setup), @"User=ci StateDirectory=ci-build-sweep Environment=CI_BUILD_STATE_DIR=/var/lib/ci-build-sweep");
        let root = Setup { user: None, ..setup };
        insta::assert_snapshot!(service(&root), @"StateDirectory=ci-build Environment=CI_BUILD_STATE_DIR=/var/lib/ci-build");
    }

    #[test]
    fn systemd_takes_the_units() {
        let directory = tempfile::tempdir().unwrap();
        let setup = Setup {
            program: "/bin/true".into(),
            words: words(&["sweep", "--keep", "a b%c$", "/var/tmp"]),
            directories: vec![directory.path().join("a cache"), "/var/tmp".into()],
            environment: BTreeMap::from([("HOME".into(), "/root".into())]),
            user: Some("daemon".into()),
        };
        let files = Scheduler::Systemd.files(&setup);
        assert!(
            files
                .iter()
                .all(|file| !["S@", "@ENV", "@USER", "@STATE"].iter().any(|mark| file.text.contains(mark)))
        );
        let paths: Vec<PathBuf> = files
            .iter()
            .map(|file| {
                let path = directory.path().join(Path::new(file.place).file_name().unwrap());
                std::fs::write(&path, &file.text).unwrap();
                path
            })
            .collect();
        let verify = std::process::Command::new("systemd-analyze").arg("verify").args(&paths).output();
        // A machine without systemd has nobody to ask.
        let Ok(verify) = verify else { return };
        let said = String::from_utf8_lossy(&verify.stderr);
        assert!(verify.status.success() && !said.contains("ci-build-sweep"), "{said}");
        // A control: it does notice what is wrong.
        std::fs::write(&paths[0], files[0].text.replace("Type=oneshot", "Type=never")).unwrap();
        let verify =
            std::process::Command::new("systemd-analyze").arg("verify").args(&paths).output().unwrap();
        assert!(String::from_utf8_lossy(&verify.stderr).contains("ci-build-sweep"), "{verify:?}");
    }
}
