//! What a build is told to do about its hazards: one table.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use xtask::build::{Build, Outcome};
use xtask::{command, workspace};

use super::situation::Situation;
use crate::Subject;

/// Who builds what.
#[derive(Debug)]
enum Means {
    /// The engine's own frontend.
    Upstream,
    /// Our frontend, with these build arguments.
    Ours(&'static [&'static str]),
    /// The engine's own frontend, from the text that `ci-build rewrite` makes by this policy.
    Text(&'static str),
}

/// A way to build.
#[derive(Debug)]
pub struct Strategy {
    /// What the laboratory calls it.
    pub name: &'static str,
    means: Means,
    /// Whether it is held to leave nothing broken, wherever a frontend can help.
    pub is_promised: bool,
    /// Whether the users of a cache still share it.
    pub shares: bool,
    /// More runs than this tell nothing that is not told elsewhere.
    pub runs_at_most: Option<usize>,
}

const PLAIN: Strategy =
    Strategy { name: "", means: Means::Upstream, is_promised: false, shares: true, runs_at_most: None };

/// All strategies, in the order of the tables.
pub static STRATEGIES: [Strategy; 13] = [
    Strategy { name: "upstream", ..PLAIN },
    Strategy { name: "off", means: Means::Ours(&["CI_BUILD_POLICY=off"]), runs_at_most: Some(2), ..PLAIN },
    Strategy { name: "auto", means: Means::Ours(&[]), is_promised: true, ..PLAIN },
    Strategy { name: "lock", means: Means::Ours(&["CI_BUILD_POLICY=lock"]), ..PLAIN },
    Strategy { name: "order", means: Means::Ours(&["CI_BUILD_POLICY=order"]), ..PLAIN },
    Strategy { name: "prime", means: Means::Ours(&["CI_BUILD_POLICY=prime"]), ..PLAIN },
    Strategy {
        name: "namespace",
        means: Means::Ours(&["CI_BUILD_POLICY=namespace"]),
        shares: false,
        ..PLAIN
    },
    Strategy {
        name: "auto, scope=host",
        means: Means::Ours(&["CI_BUILD_SCOPE=host"]),
        is_promised: true,
        ..PLAIN
    },
    Strategy {
        name: "lock, scope=host",
        means: Means::Ours(&["CI_BUILD_POLICY=lock", "CI_BUILD_SCOPE=host"]),
        ..PLAIN
    },
    Strategy {
        name: "order, scope=host",
        means: Means::Ours(&["CI_BUILD_POLICY=order", "CI_BUILD_SCOPE=host"]),
        ..PLAIN
    },
    Strategy {
        name: "auto, scope=host, no-cache=keep",
        means: Means::Ours(&["CI_BUILD_SCOPE=host", "CI_BUILD_NO_CACHE=keep"]),
        is_promised: true,
        ..PLAIN
    },
    Strategy { name: "auto, as text", means: Means::Text("auto"), is_promised: true, ..PLAIN },
    Strategy { name: "order, as text", means: Means::Text("order"), runs_at_most: Some(2), ..PLAIN },
];

impl Strategy {
    /// The strategy of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        STRATEGIES.iter().find(|strategy| strategy.name == name)
    }

    /// A build of a Dockerfile this way.
    ///
    /// # Errors
    /// When the Dockerfile's text cannot be changed.
    pub fn build(&self, subject: &Subject, dockerfile: &Path) -> Result<Build> {
        let arguments = match self.means {
            Means::Upstream => return Ok(Build::of(&subject.client, dockerfile)),
            Means::Text(policy) => {
                return Ok(Build::of(&subject.client, &rewritten(subject, dockerfile, policy)?));
            }
            Means::Ours(arguments) => arguments,
        };
        let build = Build::of(&subject.client, dockerfile).through(&subject.frontend);
        Ok(arguments.iter().fold(build, |build, argument| build.argument(&format!("--build-arg={argument}"))))
    }

    /// How many caches a build of a situation has by then, where that is known.
    #[must_use]
    pub(super) fn caches(&self, situation: &Situation) -> Option<usize> {
        let gates = if matches!(self.means, Means::Text(_)) { situation.gates } else { 0 };
        self.shares.then_some(situation.caches + gates)
    }

    /// Why the frontend that built this did not even try: it does not know the strategy.
    #[must_use]
    pub fn refusal<'o>(&self, outcome: &'o Outcome) -> Option<&'o str> {
        const WORDS: [&str; 2] = ["CI_BUILD_POLICY: there is no policy", "is not for the frontend yet"];
        let is_refusal = |line: &&str| WORDS.iter().any(|words| line.contains(words));
        if !matches!(self.means, Means::Ours(_)) || outcome.succeeded() {
            return None;
        }
        outcome.output.lines().filter(|line| line.contains("CI_BUILD_")).find(is_refusal)
    }
}

/// Where the text of a Dockerfile lies that a policy has changed.
fn rewritten(subject: &Subject, dockerfile: &Path, policy: &str) -> Result<PathBuf> {
    let dir = workspace::target()?.join("lab/text").join(policy);
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let path = dir.join(dockerfile.file_name().context("a Dockerfile has a name")?);
    let mut rewrite = Command::new(&subject.command);
    command::run(rewrite.args(["rewrite", "--policy", policy, "--output"]).arg(&path).arg(dockerfile))?;
    Ok(path)
}
