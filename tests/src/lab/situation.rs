//! What goes wrong between the cache mounts of an engine: one table.

use std::path::PathBuf;
use std::time::Duration;

use xtask::engines::{ImageStore, Kind};
use xtask::workspace;

use crate::dockerfile;

/// A hazard, built again and again.
#[derive(Debug)]
pub struct Situation {
    /// What the laboratory calls it.
    pub name: &'static str,
    /// What happens in it.
    pub what: &'static str,
    /// The Dockerfile: of `testdata/dockerfiles` with a directory before it, else of `testdata/lab`.
    dockerfile: &'static str,
    /// How many caches it has, as long as they are shared.
    pub caches: usize,
    /// How many further ones a text gets that `ci-build rewrite` made: gates, at which steps take turns.
    pub gates: usize,
    /// How it is built.
    pub course: Course,
    /// The names of the strategies that it is built by.
    pub strategies: &'static [&'static str],
    /// A build that is still running then hangs.
    pub limit: Duration,
    /// Whether the engine's runc loses the race for a mountpoint, as 1.2.0 to 1.2.2 did.
    pub racing_runc: bool,
    /// What a step says that the hazard strikes, where that shows in nothing else.
    pub words: &'static str,
    /// How many of so many of upstream's runs have to break: otherwise the others have shown nothing.
    pub control: (usize, usize),
    /// How often upstream builds it, where the usual number of times is too few.
    pub control_runs: Option<usize>,
    /// The strategies that cannot help, and why. They are shown, and held to nothing.
    pub beyond: &'static [(&'static str, &'static str)],
}

/// How the builds of one run go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// One build.
    Alone,
    /// One build for linux/amd64 and linux/arm64.
    TwoPlatforms,
    /// One build, and beside it, again and again until it has ended, another Dockerfile with `--no-cache`.
    Beside {
        /// The other Dockerfile.
        neighbour: &'static str,
        /// Whether it is built by the same strategy. Else the engine's own frontend builds it.
        same: bool,
    },
    /// Two builds at once, both by the strategy.
    Together {
        /// The other Dockerfile.
        with: &'static str,
    },
    /// One build that is to fail (`FAIL=1`) while its other steps run, and then the build that counts.
    AfterFailure,
    /// One build that is interrupted as by Ctrl-C after a second, and then the build that counts.
    AfterInterrupt,
}

const ALL: &[&str] = &["upstream", "off", "auto", "lock", "order", "prime", "namespace"];
const SHARING: &[&str] = &["upstream", "off", "auto", "lock", "order"];
const IN_TEXT: &[&str] =
    &["upstream", "off", "auto", "lock", "order", "namespace", "auto, as text", "order, as text"];
const LOCKS: &[&str] = &["upstream", "auto", "lock", "order", "namespace", "auto, as text", "order, as text"];

const USUAL: Situation = Situation {
    name: "",
    what: "",
    dockerfile: "",
    caches: 1,
    gates: 0,
    course: Course::Alone,
    strategies: &["upstream", "off", "auto", "lock", "order", "namespace"],
    limit: Duration::from_secs(30),
    racing_runc: false,
    words: "",
    control: (1, usize::MAX),
    control_runs: None,
    beyond: &[],
};

/// All situations, in the order of the tables.
pub static SITUATIONS: [Situation; 15] = [
    Situation {
        name: "race-two",
        what: "two stages use one cache at once, with a tool that wants it for itself",
        dockerfile: "SharedCacheRace/two-stages",
        words: "can't create directory '/cache/lock': File exists",
        control: (9, 10),
        strategies: IN_TEXT,
        ..USUAL
    },
    Situation {
        name: "race-eight",
        what: "eight stages do",
        dockerfile: "SharedCacheRace/eight-stages",
        words: "can't create directory '/cache/lock': File exists",
        control: (9, 10),
        strategies: IN_TEXT,
        ..USUAL
    },
    Situation {
        name: "nested-two",
        what: "two stages mount something in the same directory of one cache, which the tool shares well; runc loses the race for the mountpoint",
        dockerfile: "nested-two",
        words: "/cache: file exists",
        strategies: ALL,
        racing_runc: true,
        control: (29, 30),
        control_runs: Some(30),
        ..USUAL
    },
    Situation {
        name: "nested-eight",
        what: "eight stages do",
        dockerfile: "nested-eight",
        words: "/cache: file exists",
        strategies: ALL,
        racing_runc: true,
        control: (29, 30),
        ..USUAL
    },
    Situation {
        name: "apt",
        what: "two stages run `apt-get install` with shared /var/cache/apt and /var/lib/apt",
        dockerfile: "SharedCacheRace/apt",
        caches: 2,
        words: "Could not get lock",
        limit: Duration::from_secs(120),
        control: (1, 2),
        strategies: IN_TEXT,
        ..USUAL
    },
    Situation {
        name: "inversion-two",
        what: "two stages lock two caches in opposite orders",
        dockerfile: "CacheLockInversion/two",
        caches: 2,
        gates: 1,
        strategies: LOCKS,
        limit: Duration::from_secs(10),
        control_runs: Some(6),
        ..USUAL
    },
    Situation {
        name: "inversion-three",
        what: "three stages lock three caches in a circle",
        dockerfile: "CacheLockInversion/three",
        caches: 3,
        gates: 1,
        strategies: LOCKS,
        limit: Duration::from_secs(10),
        control_runs: Some(6),
        ..USUAL
    },
    Situation {
        name: "mixed",
        what: "a shared user of a cache comes while a locked one runs",
        dockerfile: "MixedCacheSharing/locked-then-shared",
        strategies: &["upstream", "off", "auto", "lock", "order", "auto, as text", "order, as text"],
        control: (9, 10),
        ..USUAL
    },
    Situation {
        name: "platforms",
        what: "one stage is built for two platforms at once, in one cache",
        dockerfile: "platforms",
        course: Course::TwoPlatforms,
        words: "can't create directory '/cache/lock': File exists",
        control: (9, 10),
        ..USUAL
    },
    Situation {
        name: "no-cache-other",
        what: "beside a build whose steps overlap in one cache, another one with `--no-cache` uses another cache",
        dockerfile: "neighboured",
        caches: 2,
        course: Course::Beside { neighbour: "neighbour-other", same: false },
        strategies: SHARING,
        ..USUAL
    },
    Situation {
        name: "no-cache-same",
        what: "beside a build whose steps overlap in one cache, another one with `--no-cache` uses the same; both by the strategy",
        dockerfile: "neighboured",
        course: Course::Beside { neighbour: "neighbour-same", same: true },
        strategies: &["upstream", "auto", "auto, scope=host, no-cache=keep"],
        beyond: &[(
            "auto",
            "`--no-cache` empties the caches of its steps, as upstream, unless CI_BUILD_NO_CACHE=keep is asked for",
        )],
        ..USUAL
    },
    Situation {
        name: "no-cache-stranger",
        what: "the same, but the other one is built by the engine's own frontend",
        dockerfile: "neighboured",
        course: Course::Beside { neighbour: "neighbour-same", same: false },
        strategies: &["upstream", "auto", "auto, scope=host, no-cache=keep"],
        beyond: &[
            ("auto", "what empties the cache is a build that no frontend of ours sees"),
            (
                "auto, scope=host, no-cache=keep",
                "what empties the cache is a build that no frontend of ours sees",
            ),
        ],
        ..USUAL
    },
    Situation {
        name: "two-builds",
        what: "two builds use one cache at once, with a tool that wants it for itself",
        dockerfile: "host-a",
        course: Course::Together { with: "host-b" },
        words: "can't create directory '/cache/lock': File exists",
        strategies: &["upstream", "auto", "auto, scope=host", "lock, scope=host", "order, scope=host"],
        control: (9, 10),
        beyond: &[("auto", "neither build has a hazard in itself: scope=host is for that")],
        ..USUAL
    },
    Situation {
        name: "after-failure",
        what: "a step fails while another one is in the cache and a third wants it; then it is built again",
        dockerfile: "cut-off",
        words: "the lock is taken",
        course: Course::AfterFailure,
        control: (9, 10),
        ..USUAL
    },
    Situation {
        name: "after-interrupt",
        what: "a build is interrupted while a step is in the cache and another wants it; then it is built again",
        dockerfile: "cut-off",
        words: "the lock is taken",
        course: Course::AfterInterrupt,
        control: (9, 10),
        ..USUAL
    },
];

impl Situation {
    /// Where its Dockerfile lies.
    #[must_use]
    pub fn dockerfile(&self) -> PathBuf {
        if self.dockerfile.contains('/') { dockerfile(self.dockerfile) } else { lab_file(self.dockerfile) }
    }

    /// Whether an engine can build it at all.
    #[must_use]
    pub fn is_for(&self, kind: Kind) -> bool {
        self.course != Course::TwoPlatforms || kind.image_store() == ImageStore::Containerd
    }

    /// Why a strategy cannot help, if it cannot.
    #[must_use]
    pub fn reason(&self, strategy: &str) -> Option<&'static str> {
        self.beyond.iter().find(|(name, _)| *name == strategy).map(|(_, reason)| *reason)
    }
}

/// A Dockerfile of testdata/lab.
pub(super) fn lab_file(name: &str) -> PathBuf {
    workspace::root().join("testdata/lab").join(name).with_extension("Dockerfile")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::strategy::Strategy;

    #[test]
    fn what_the_table_names_is_there() {
        for situation in &SITUATIONS {
            assert!(situation.dockerfile().is_file(), "{}", situation.name);
            assert_eq!(situation.strategies[0], "upstream", "{}: no control", situation.name);
            let beyond = situation.beyond.iter().map(|(name, _)| name);
            for name in situation.strategies.iter().chain(beyond) {
                assert!(Strategy::named(name).is_some(), "{}: {name}", situation.name);
            }
            if let Course::Beside { neighbour: other, .. } | Course::Together { with: other } =
                situation.course
            {
                assert!(lab_file(other).is_file(), "{other}");
            }
        }
    }
}
