//! `ci-build build`.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ci_build_frontend::plan::{Policy, Scope};
use clap::Args;
use tracing::field::Empty;

use super::store::DockerStore;
use super::{block_on, duration, frontend, lock, recover, tell_why};
use crate::build::words::{part, shown};
use crate::build::{self, Asked, Frontend, Source};
use crate::docker_config::DockerConfig;
use crate::error::Failure;
use crate::failpoint;
use crate::image::ImageName;
use crate::journal::Journal;
use crate::process::{self, Limits, Owner, Vigil};
use crate::recover::Here;
use crate::store::{Guard as _, Patience, Store, job};
use crate::switch;

mod follow;
mod lease;
mod prepare;

use follow::{Followed, Known};
use prepare::Prepared;

/// As the command line has it.
pub(super) const NAME: &str = "build";

const EXAMPLES: &str = "\
Examples:
  ci-build build -t app .
  ci-build build --policy lock --scope host -t app --push .
  ci-build build --timeout 30m --wait 10m -f docker/Dockerfile --build-arg VERSION=1 .
  ci-build build --policy off -t app .
  ci-build build -- --policy filename=app.rego .

All other arguments are those of `docker buildx build`, in any place. What stands behind -- is all
buildx's, and so is --policy with key=value: `ci-build build -- --help` shows its help.

Exit codes: what buildx ends with (128 + n for signal n), 75 gave up waiting for the lock, 2 wrong
usage, 125 our own failure";

/// Build as docker buildx build does, mended, under the engine's shared lock, and lease the result
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, override_usage = "ci-build build [OPTIONS] [BUILDX ARGUMENTS]… PATH | URL | -")]
pub(crate) struct Arguments {
    /// How hazards are mended; off is buildx as it is [default: what the Dockerfile says, else auto]
    #[arg(long, env = "CI_BUILD_POLICY", value_parser = super::plan::policies())]
    policy: Option<Policy>,
    /// Against whom caches are kept apart: the steps of this build, or other builds of the host too [default: what the
    /// Dockerfile says, else build]
    #[arg(long, env = "CI_BUILD_SCOPE", value_parser = super::plan::scopes())]
    scope: Option<Scope>,
    #[command(flatten)]
    store: DockerStore,
    /// How long to wait for the lock; 0 is not at all
    #[arg(long, value_name = "TIME", env = "CI_BUILD_WAIT", default_value = "1h", value_parser = duration::parse)]
    wait: Duration,
    /// How long the build may take; then it is ended [default: as long as it takes]
    #[arg(long, value_name = "TIME", env = "CI_BUILD_TIMEOUT", value_parser = duration::parse)]
    timeout: Option<Duration>,
    /// How long it may take to end, before it is killed
    #[arg(long, value_name = "TIME", env = "CI_BUILD_GRACE", default_value = "10s", value_parser = duration::parse)]
    grace: Duration,
    /// Do not look first for what killed commands left
    #[arg(long, env = "CI_BUILD_NO_RECOVER", value_parser = switch::parse)]
    no_recover: bool,
    /// The frontend's image as the builder can pull it, or none to rewrite the Dockerfile's text instead [default: given
    /// to the engine from here; the text where the builder is not the engine's own]
    #[arg(long, value_name = "REF", env = "CI_BUILD_FRONTEND")]
    frontend: Option<String>,
    /// The frontend's static binary [default: as for `ci-build frontend install`]
    #[arg(long, value_name = "PATH", env = "CI_BUILD_FRONTEND_BINARY")]
    frontend_binary: Option<PathBuf>,
    /// The name that the engine gets the frontend under
    #[arg(long, value_name = "REF", env = "CI_BUILD_FRONTEND_NAME", default_value = frontend::DEFAULT_NAME)]
    frontend_name: ImageName,
    /// What buildx gets
    #[arg(last = true, hide = true)]
    words: Vec<OsString>,
}

/// The command line with our flags in front and all others behind `--`, where it is a build's. So clap reads ours alone.
pub(super) fn arrange(mut words: Vec<OsString>) -> Vec<OsString> {
    if words.get(1).is_none_or(|command| command != NAME) {
        return words;
    }
    let (ours, theirs) = part(&words.split_off(2), &super::flags_of(NAME));
    words.extend(ours);
    words.push("--".into());
    words.extend(theirs);
    words
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    failpoint::reach("build.asked");
    // First of all: the later one looks, the likelier is it that nobody is left who wanted the build.
    let owner = owner();
    let vigil = Vigil::keep(owner, "docker buildx build")?;
    let Arguments { wait, words, .. } = arguments;
    let variable = |name: &str| std::env::var_os(name);
    let config = DockerConfig::of(variable);
    let buildx = build::buildx(&config)?;
    let asked = Asked::read(words);
    let store = arguments.store()?;
    failpoint::reach("build.recovered");
    let driver = build::driver(&buildx, asked.builder.as_deref(), &config, variable);
    let source = Source::of(&asked);

    let shown = shown(words);
    let (patience, started) = (Patience { wait: *wait, polite: Duration::ZERO }, Instant::now());
    let guard = store.share(&format!("docker buildx build {shown}"), patience, |notice| {
        lock::tell(store.identity(), notice, started);
    })?;
    guard.pass_on()?;
    failpoint::reach("build.locked");

    let known = Known::of(&store, &source, &asked);
    let mut prepared = Prepared::new(arguments, &asked, &driver, source, &store, &known.durations())?;
    let mut command = prepared.command(&buildx, &asked)?;
    let followed = prepared.mark().and_then(|mark| Followed::start(mark, &asked, &store));
    failpoint::reach("build.started");
    drop(vigil);
    let limits = Limits { timeout: arguments.limit(), grace: Some(arguments.grace), owner };
    let ended = super::ended_in(tracing::info_span!("build", exit_code = Empty, outcome = Empty), || {
        process::run_within(&mut command, limits)
    })?;
    failpoint::reach("build.ended");
    if let Some(followed) = followed {
        known.record(&followed.finish());
    }
    tell_why(ended.stopped, arguments.timeout, "the build", "took");
    if ended.code == 0 {
        failpoint::reach("build.leasing");
        lease::result(&prepared.made(&asked), &store);
        failpoint::reach("build.leased");
    }
    Ok(ExitCode::from(ended.code))
}

/// Who wants a command: the CI job, whose end is the command's too, unless the caller asked with nohup to live on.
pub(super) fn owner() -> Option<Owner> {
    if process::is_ignored(signal_hook::consts::SIGHUP) { None } else { job::owner() }
}

impl Arguments {
    /// The store, and first of all what killed commands left in its engine goes.
    fn store(&self) -> Result<Store, Failure> {
        if self.no_recover {
            return self.store.open();
        }
        let journal = Journal::open()?;
        let identity = block_on(async {
            let name = self.store.name().cloned();
            let here = match name {
                // It needs no engine, and one that does not answer now is the next command's.
                Some(_) => {
                    tokio::time::timeout(recover::FIRST, recover::here()).await.ok().and_then(Result::ok)
                }
                None => Some(recover::here().await?),
            };
            if let Some((engine, place)) = &here {
                recover::first(&journal, Here::Docker { engine, place }, recover::FIRST).await;
            }
            Ok::<_, Failure>(name.or_else(|| here.map(|(_, place)| place.store())))
        })??;
        identity.map_or_else(|| self.store.open(), |identity| Ok(Store::open(identity)?))
    }

    fn limit(&self) -> Option<Duration> {
        self.timeout.filter(|limit| !limit.is_zero())
    }

    /// The frontend that may be used.
    fn frontend(&self, has_binary: bool) -> Frontend {
        match self.frontend.as_deref().map(str::trim).filter(|name| !name.is_empty()) {
            Some("none") => Frontend::Text,
            Some(name) => Frontend::Image(name.to_owned()),
            None => Frontend::Own(has_binary.then(|| self.frontend_name.to_string())),
        }
    }
}

/// A flag of buildx's with its value, as two words.
fn flag(name: &str, value: impl AsRef<OsStr>) -> [OsString; 2] {
    [name.into(), value.as_ref().to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arranged(line: &str) -> String {
        let words = arrange(line.split_whitespace().map(OsString::from).collect());
        words.join(OsStr::new(" ")).into_string().unwrap()
    }

    #[test]
    fn our_flags_are_those_that_clap_knows() {
        let names: Vec<_> = crate::commands::flags_of(NAME).into_iter().map(|flag| flag.name).collect();
        insta::assert_snapshot!(names.join(" "), @"policy scope store wait timeout grace no-recover frontend frontend-binary frontend-name help");
    }

    #[test]
    fn a_command_line_is_arranged_for_clap() {
        assert_eq!(arranged("ci-build build -t x --policy lock ."), "ci-build build --policy lock -- -t x .");
        assert_eq!(arranged("ci-build build --help"), "ci-build build --help --");
        assert_eq!(arranged("ci-build build -- --help"), "ci-build build -- --help");
        assert_eq!(arranged("ci-build lock -- build --policy x"), "ci-build lock -- build --policy x");
        assert_eq!(arranged("ci-build"), "ci-build");
    }
}
