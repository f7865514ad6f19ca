//! What has a sweep run every day: units of systemd with as few rights as it needs, or a line for cron. The texts are templates beside
//! this file.

use std::collections::BTreeMap;

mod cron;
mod systemd;

pub use cron::Unsayable;

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

/// What is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// The program.
    pub program: String,
    /// Its words.
    pub words: Vec<String>,
    /// The directories that it must be able to change.
    pub directories: Vec<String>,
    /// The variables that it needs.
    pub environment: BTreeMap<String, String>,
    /// As whom it runs, if not as root: what somebody's own variables name is swept with that user's rights.
    pub user: Option<String>,
}

impl Setup {
    /// The program and its words.
    fn command(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.program.as_str()).chain(self.words.iter().map(String::as_str))
    }
}

impl Scheduler {
    /// The files that have this run.
    ///
    /// # Errors
    /// When cron cannot say it.
    pub fn files(self, setup: &Setup) -> Result<Vec<File>, Unsayable> {
        match self {
            Self::Systemd => Ok(systemd::files(setup)),
            Self::Cron => Ok(vec![cron::file(setup)?]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &[&str]) -> Vec<String> {
        line.iter().map(|&word| word.into()).collect()
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
        let cron = Scheduler::Cron.files(&setup).unwrap();
        assert!(
            cron[0].text.ends_with("17 4 * * * ci /usr/bin/ci-build sweep --preset pip\n"),
            "{}",
            cron[0].text
        );
        let service = |setup: &Setup| {
            let text = Scheduler::Systemd.files(setup).unwrap().swap_remove(0).text;
            let told = text.lines().filter(|line| {
                let starts =
                    ["User=", "StateDirectory", "Environment=CI", "ExecStartPre=", "ReadWritePaths=/"];
                starts.iter().any(|start| line.starts_with(start))
            });
            told.collect::<Vec<_>>().join(" ")
        };
        insta::assert_snapshot!(service(&setup), @"User=ci StateDirectory=ci-build-sweep StateDirectoryMode=0700 Environment=CI_BUILD_STATE_DIR=/var/lib/ci-build-sweep");
        // The mode of the host's state is not this unit's to set.
        let root = Setup { user: None, ..setup };
        insta::assert_snapshot!(service(&root), @"ExecStartPre=+/bin/mkdir -p -m 0700 /var/lib/ci-build ReadWritePaths=/var/lib/ci-build Environment=CI_BUILD_STATE_DIR=/var/lib/ci-build");
    }
}
