//! What a build is told to do about its hazards: one table.

use std::path::Path;

use xtask::build::{Build, Outcome};

use crate::Subject;

/// A way to build.
#[derive(Debug)]
pub struct Strategy {
    /// What the laboratory calls it.
    pub name: &'static str,
    /// Arguments for our frontend. None: the engine's own one builds.
    arguments: Option<&'static [&'static str]>,
    /// Whether it is held to leave nothing broken, wherever a frontend can help.
    pub is_promised: bool,
    /// Whether the users of a cache still share it.
    pub shares: bool,
    /// More runs than this tell nothing that is not told elsewhere.
    pub runs_at_most: Option<usize>,
}

const PLAIN: Strategy =
    Strategy { name: "", arguments: None, is_promised: false, shares: true, runs_at_most: None };

/// All strategies, in the order of the tables.
pub static STRATEGIES: [Strategy; 11] = [
    Strategy { name: "upstream", ..PLAIN },
    Strategy { name: "off", arguments: Some(&["CI_BUILD_POLICY=off"]), runs_at_most: Some(2), ..PLAIN },
    Strategy { name: "auto", arguments: Some(&[]), is_promised: true, ..PLAIN },
    Strategy { name: "lock", arguments: Some(&["CI_BUILD_POLICY=lock"]), ..PLAIN },
    Strategy { name: "order", arguments: Some(&["CI_BUILD_POLICY=order"]), ..PLAIN },
    Strategy { name: "prime", arguments: Some(&["CI_BUILD_POLICY=prime"]), ..PLAIN },
    Strategy { name: "namespace", arguments: Some(&["CI_BUILD_POLICY=namespace"]), shares: false, ..PLAIN },
    Strategy {
        name: "auto, scope=host",
        arguments: Some(&["CI_BUILD_SCOPE=host"]),
        is_promised: true,
        ..PLAIN
    },
    Strategy {
        name: "lock, scope=host",
        arguments: Some(&["CI_BUILD_POLICY=lock", "CI_BUILD_SCOPE=host"]),
        ..PLAIN
    },
    Strategy {
        name: "order, scope=host",
        arguments: Some(&["CI_BUILD_POLICY=order", "CI_BUILD_SCOPE=host"]),
        ..PLAIN
    },
    Strategy {
        name: "auto, scope=host, no-cache=keep",
        arguments: Some(&["CI_BUILD_SCOPE=host", "CI_BUILD_NO_CACHE=keep"]),
        is_promised: true,
        ..PLAIN
    },
];

impl Strategy {
    /// The strategy of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        STRATEGIES.iter().find(|strategy| strategy.name == name)
    }

    /// Whether our frontend builds at all.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.arguments.is_some()
    }

    /// A build of a Dockerfile this way.
    #[must_use]
    pub fn build(&self, subject: &Subject, dockerfile: &Path) -> Build {
        let build = Build::of(&subject.client, dockerfile);
        let Some(arguments) = self.arguments else { return build };
        let build = build.through(&subject.frontend);
        arguments.iter().fold(build, |build, argument| build.argument(&format!("--build-arg={argument}")))
    }

    /// Why the frontend that built this did not even try: it does not know the strategy.
    #[must_use]
    pub fn refusal<'o>(&self, outcome: &'o Outcome) -> Option<&'o str> {
        const WORDS: [&str; 2] = ["CI_BUILD_POLICY: there is no policy", "is not for the frontend yet"];
        let is_refusal = |line: &&str| WORDS.iter().any(|words| line.contains(words));
        if !self.is_ours() || outcome.succeeded() {
            return None;
        }
        outcome.output.lines().filter(|line| line.contains("CI_BUILD_")).find(is_refusal)
    }
}
