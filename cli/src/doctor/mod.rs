//! What is wrong with a host, before it makes a build fail: [`facts`] asks, and each check judges, purely.

use std::fmt::Write as _;

mod checks;
pub mod facts;
pub mod steps;
mod version;

pub use facts::Facts;

/// How a finding is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    Fine,
    /// Worth knowing; nothing fails of it.
    Note,
    /// It will make something fail, or has done so.
    Wrong,
    /// It could not be looked at, which is told elsewhere.
    Unknown,
}

impl State {
    /// One word, for people and scripts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Note => "note",
            Self::Wrong => "wrong",
            Self::Unknown => "unknown",
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How it is meant.
    pub state: State,
    /// What was seen, one line.
    pub found: String,
    /// What to do about it, a line each.
    pub advice: Vec<String>,
}

impl Finding {
    fn fine(found: impl Into<String>) -> Self {
        Self { state: State::Fine, found: found.into(), advice: Vec::new() }
    }

    fn note(found: impl Into<String>, advice: &[&str]) -> Self {
        Self {
            state: State::Note,
            found: found.into(),
            advice: advice.iter().map(|&line| line.into()).collect(),
        }
    }

    fn wrong(found: impl Into<String>, advice: &[&str]) -> Self {
        Self { state: State::Wrong, ..Self::note(found, advice) }
    }

    fn unknown(why: impl Into<String>) -> Self {
        Self { state: State::Unknown, ..Self::fine(why) }
    }

    /// What needs the engine says nothing about it where none answers: the check `engine` does.
    fn no_engine() -> Self {
        Self::unknown("no engine answers")
    }
}

/// One thing that is looked at: a file of `checks/`.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// What it is called, for scripts.
    pub name: &'static str,
    /// What is looked at, and when it is wrong: a line of docs/doctor.md.
    pub about: &'static str,
    look: fn(&Facts) -> Finding,
}

impl Check {
    /// Judges a host.
    pub fn look(&self, facts: &Facts) -> Finding {
        (self.look)(facts)
    }
}

/// All checks, in the order in which they are told: what others depend on comes first.
pub const CHECKS: [Check; 12] = [
    checks::engine::CHECK,
    checks::runc::CHECK,
    checks::buildkit::CHECK,
    checks::image_store::CHECK,
    checks::lock_directory::CHECK,
    checks::disk::CHECK,
    checks::inodes::CHECK,
    checks::steps::CHECK,
    checks::binfmt::CHECK,
    checks::frontend::CHECK,
    checks::buildx::CHECK,
    checks::mirrors::CHECK,
];

const HEAD: &str = "\
# The doctor

    ci-build doctor
    ci-build doctor --format json

looks at what makes builds fail on a host, before it does. Exit code 0: nothing is wrong; 1: something is. `note` is worth knowing,
`unknown` could not be looked at. An engine that does not answer within `--timeout` is wrong, and all that needs it unknown. Nothing is
changed.

| check | what is looked at |
|---|---|
";

/// docs/doctor.md.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    for check in CHECKS {
        // Writing to a string does not fail.
        let _ = writeln!(page, "| `{}` | {} |", check.name, check.about);
    }
    page.push_str("\nThis page is written by `cargo xtask docs`.\n");
    page
}
