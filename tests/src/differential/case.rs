//! What is built, as data: `testdata/differential/<topic>.toml`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use xtask::engines::{ImageStore, Kind};
use xtask::workspace;

use super::files::Files;

/// A build, and what a machine must have for it.
///
/// Where texts and arguments hold `@busybox@`, `@registry@`, `@http@`, `@git@`, `@work@`, `@layout@` or `@scanner@`, what
/// the machine has to offer is put there; in arguments also `@out@`, a directory for results, `@name@`, a name
/// that no other way of building has, and `@tag@`, the image's.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Case {
    /// Unique among all topics.
    pub name: String,
    /// What builds it.
    #[serde(default)]
    pub tool: Tool,
    /// The text of `Dockerfile` in the working directory, which is the context.
    #[serde(default)]
    pub dockerfile: Option<String>,
    /// Other files of the working directory.
    #[serde(default)]
    pub files: Files,
    /// What follows `docker buildx build`, `docker buildx bake` or `docker compose build`.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// The last argument, of a build.
    #[serde(default = "working_directory")]
    pub context: String,
    /// The file that is the standard input.
    #[serde(default)]
    pub stdin: Option<String>,
    /// Variables that the client sees.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Builds before the one that is looked at.
    #[serde(default)]
    pub before: Vec<Before>,
    /// How it is told of another frontend.
    #[serde(default)]
    pub syntax: Syntax,
    /// What a step writes when the build is to be interrupted, as by Ctrl-C.
    #[serde(default)]
    pub interrupt_at: Option<String>,
    /// The images that it leaves, where it leaves another number than one.
    #[serde(default)]
    pub images: Option<Vec<String>>,
    /// What not every machine has.
    #[serde(default)]
    pub needs: Vec<Need>,
    /// Where upstream fails: engines, `graph-driver` for those with that store, or `all`.
    #[serde(default)]
    pub fails_on: Vec<String>,
    /// Whether it is run with the ordinary tests.
    #[serde(default)]
    pub quick: bool,
    /// The file that it stands in.
    #[serde(skip)]
    pub topic: String,
}

/// What builds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tool {
    /// `docker buildx build`.
    #[default]
    Build,
    /// `docker buildx bake`.
    Bake,
    /// `docker compose build`.
    Compose,
}

/// How a build is told of another frontend.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Syntax {
    /// By the build argument `BUILDKIT_SYNTAX`.
    #[default]
    Argument,
    /// By the first line of the Dockerfile. Upstream gets another comment there.
    Line,
    /// By the first line, which names a third frontend to stand behind ours. Upstream gets another comment there.
    Behind,
    /// By the build argument, while the first line of the Dockerfile names what does not exist. Upstream gets another
    /// comment there.
    Over,
}

/// A build before the one that is looked at.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Before {
    /// What follows `docker buildx build`, without the context.
    pub arguments: Vec<String>,
    /// Whether the engine's own frontend builds it, whoever builds what is looked at.
    #[serde(default)]
    pub upstream: bool,
    /// Whether its cache stays in the engine.
    #[serde(default)]
    pub keep: bool,
}

/// What a machine may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// Programs of linux/arm64.
    Emulation,
    /// `docker compose`.
    Compose,
    /// `git daemon`.
    Git,
    /// `ssh-agent`.
    SshAgent,
}

impl Case {
    /// Whether upstream builds it on this engine.
    #[must_use]
    pub fn succeeds_on(&self, kind: Kind) -> bool {
        !self.fails_on.iter().any(|name| match &**name {
            "all" => true,
            "graph-driver" => kind.image_store() == ImageStore::GraphDriver,
            name => name == kind.name(),
        })
    }

    /// The images that it leaves.
    #[must_use]
    pub fn images(&self) -> Vec<String> {
        self.images.clone().unwrap_or_else(|| vec![TAG.to_owned()])
    }
}

/// The image of a build that names no other.
pub const TAG: &str = "local/differential:latest";

fn working_directory() -> String {
    ".".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Topic {
    case: Vec<Case>,
}

/// The directory of the data.
#[must_use]
pub fn directory() -> PathBuf {
    workspace::root().join("testdata/differential")
}

/// Every case, by topic and in the order of its file.
///
/// # Errors
/// When a file cannot be read or understood, or two cases have one name.
pub fn load() -> Result<Vec<Case>> {
    let entries = fs::read_dir(directory()).context("cannot list testdata/differential")?;
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>, std::io::Error>>()
        .context("cannot list testdata/differential")?;
    paths.sort();
    let mut cases: Vec<Case> = Vec::new();
    for path in paths {
        let topic = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if topic == "differences" {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let read: Topic =
            toml::from_str(&text).with_context(|| format!("cannot understand {}", path.display()))?;
        for case in read.case {
            ensure!(cases.iter().all(|other| other.name != case.name), "two cases are called {}", case.name);
            cases.push(Case { topic: topic.clone(), ..case });
        }
    }
    Ok(cases)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_enough_cases() {
        let cases = load().unwrap();
        assert!(cases.len() >= 120, "only {} cases", cases.len());
        assert!(cases.iter().filter(|case| case.quick).count() >= 3);
    }

    #[test]
    fn engines_that_fail_exist() {
        for case in load().unwrap() {
            for name in &case.fails_on {
                let known = ["all", "graph-driver"].contains(&&**name) || name.parse::<Kind>().is_ok();
                assert!(known, "{}: there is no engine {name}", case.name);
            }
        }
    }
}
