//! How a command fails: whose turn it is, what the user reads, and the exit code that scripts read.

use std::fmt;
use std::process::ExitCode;

/// Who can do something about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The input or the usage is wrong: exit code 2.
    Input,
    /// Something around us did not do its part, say an engine, a registry, a disk: exit code 125.
    Surroundings,
    /// Somebody else holds what is needed, and the time for the wait is over: exit code 75.
    Holder,
    /// A command that was to be run is not there: exit code 127, as shells have it.
    NoCommand,
    /// A command that was to be run does not start: exit code 126, as shells have it.
    Command,
    /// A bug of ours: exit code 125, and the user is asked to report it.
    Bug,
}

impl Blame {
    /// In one word, for scripts and logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Surroundings => "surroundings",
            Self::Holder => "holder",
            Self::NoCommand => "no-command",
            Self::Command => "command",
            Self::Bug => "bug",
        }
    }
}

/// An error that knows whose it is and what to do next. Its `Display` is one lowercase line without a full
/// stop.
pub trait Explain: std::error::Error {
    /// Who can do something about it.
    fn blame(&self) -> Blame;

    /// What to do next, a line each.
    fn help(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What a command ends with when it does not end well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    blame: Blame,
    message: String,
    help: Vec<String>,
}

impl<E: Explain> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut help = error.help();
        if error.blame() == Blame::Bug {
            help.push("this is a bug in ci-build, please report it with the command line".into());
        }
        Self { blame: error.blame(), message: with_cause(&error), help }
    }
}

impl Failure {
    /// Who can do something about it.
    pub fn blame(&self) -> Blame {
        self.blame
    }

    /// What went wrong, in one line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do next, a line each.
    pub fn help(&self) -> &[String] {
        &self.help
    }

    /// The exit code that goes with the blame.
    pub fn exit_code(&self) -> ExitCode {
        match self.blame {
            Blame::Input => ExitCode::from(2),
            Blame::Holder => ExitCode::from(75),
            Blame::NoCommand => ExitCode::from(127),
            Blame::Command => ExitCode::from(126),
            Blame::Surroundings | Blame::Bug => ExitCode::from(125),
        }
    }

    /// Writes the failure to stderr, in colour only where a person looks at it.
    pub fn print(&self) {
        let error = anstyle::AnsiColor::Red.on_default().bold();
        // anstream strips the styles unless stderr is a terminal and NO_COLOR is unset.
        anstream::eprintln!("{error}error{error:#}: {}", self.message);
        self.print_help();
    }

    /// Writes to stderr what did not happen, and why, where the command goes on all the same.
    pub fn warn(&self, what: &str) {
        let warning = anstyle::AnsiColor::Yellow.on_default().bold();
        anstream::eprintln!("{warning}warning{warning:#}: {what}: {}", self.message);
        self.print_help();
    }

    fn print_help(&self) {
        let help = anstyle::AnsiColor::Cyan.on_default();
        for line in &self.help {
            anstream::eprintln!("  {help}help{help:#}: {line}");
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        self.help.iter().try_for_each(|line| write!(f, "\n  help: {line}"))
    }
}

/// The error and what is at the bottom of it, on one line. What lies between are the layers of libraries,
/// which tell a user nothing.
pub(crate) fn with_cause(error: &dyn std::error::Error) -> String {
    let text = one_line(&error.to_string());
    let root = std::iter::successors(error.source(), |cause| cause.source()).last();
    match root.map(|root| one_line(&root.to_string())) {
        Some(root) if !text.contains(&root) => format!("{text}: {root}"),
        _ => text,
    }
}

/// What others say may hold line breaks and control characters; an error of ours is one line.
fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_control())
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the engine did not answer")]
    struct Outer(#[source] std::io::Error);

    impl Explain for Outer {
        fn blame(&self) -> Blame {
            Blame::Bug
        }
        fn help(&self) -> Vec<String> {
            vec!["look at its log".into()]
        }
    }

    #[test]
    fn a_failure_tells_its_cause_on_one_line_and_then_what_to_do() {
        let failure = Failure::from(Outer(std::io::Error::other("refused\nby \x1b[31mit")));
        insta::assert_snapshot!(failure, @r"
        error: the engine did not answer: refused by [31mit
          help: look at its log
          help: this is a bug in ci-build, please report it with the command line
        ");
    }
}
