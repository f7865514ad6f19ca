//! Primers, which the policy asks for.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use ci_build_tests::{Subject, files};
use xtask::build::{self, Build, Outcome};
use xtask::command;
use xtask::engines::Kind;

/// `LOG` is how many lines the log in the cache has after the step.
const TEXT: &str = "\
FROM local/busybox AS base
RUN mkdir /cacheache
FROM base AS a
ARG LOG=1
RUN --mount=type=cache,id=outer,target=/cache --mount=type=cache,id=inner,target=/cache/inner/a \\
    echo >> /cache/log && test $(wc -l < /cache/log) = $LOG && echo 1 > /a
FROM base AS b
RUN --mount=type=cache,id=outer,target=/cache --mount=type=tmpfs,target=/cache/inner/b \\
    --mount=type=secret,id=s,target=/cache/secrets/s \\
    grep secret /cache/secrets/s && echo 2 > /b
FROM b
COPY --from=a /a /
";

/// Shows what is in the cache, whatever it showed before.
const LOOK: &str = "\
FROM local/busybox
ARG AT
RUN --mount=type=cache,id=outer,target=/cache cd /cache && find * -type d && find * -type f
";

struct Builds<'s> {
    subject: &'s Subject,
    dir: tempfile::TempDir,
}

impl<'s> Builds<'s> {
    fn of(subject: &'s Subject) -> Result<Self> {
        let dir = tempfile::tempdir().context("cannot create a directory")?;
        for (name, text) in [("text", TEXT), ("look", LOOK), ("secret", "secret\n")] {
            std::fs::write(dir.path().join(name), text).context("cannot write a file")?;
        }
        Ok(Self { subject, dir })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn upstream(&self, text: &Path, arguments: &[&str]) -> Build {
        let secret = format!("--secret=id=s,src={}", self.path("secret").display());
        let build = Build::of(&self.subject.client, text).argument(&secret);
        arguments.iter().fold(build, |build, argument| build.argument(argument))
    }

    fn ours(&self, text: &Path, arguments: &[&str]) -> Build {
        self.upstream(text, arguments)
            .through(&self.subject.frontend)
            .argument("--build-arg=CI_BUILD_POLICY=prime")
    }

    fn built(&self, text: &Path, arguments: &[&str]) -> Result<Outcome> {
        let outcome = self.ours(text, arguments).run()?;
        ensure!(outcome.succeeded(), "{arguments:?} ended {:?}:\n{}", outcome.ended, outcome.output);
        ensure!(has_primed(&outcome), "the primer did not run:\n{}", outcome.output);
        Ok(outcome)
    }
}

/// Whether the primer ran, and did not come from the cache.
fn has_primed(outcome: &Outcome) -> bool {
    let mut lines = outcome.output.lines();
    let number = lines.find_map(|line| line.strip_suffix(" [ci-build] prepare caches"));
    number.is_some_and(|number| !outcome.output.contains(&format!("{number} CACHED\n")))
}

fn all_cached(outcome: &Outcome) -> Result<()> {
    let steps = outcome.steps();
    ensure!(
        !steps.is_empty() && steps.iter().all(|(_, cached)| *cached),
        "not all cached:\n{}",
        outcome.output
    );
    Ok(())
}

/// It runs in every build, keeps what is in the caches, and lets what waits for it stay in the cache. What steps mount in
/// the caches has its mountpoints before they run.
pub(crate) fn primer(subject: &Subject) -> Result<()> {
    let builds = Builds::of(subject)?;
    let text = builds.path("text");
    build::forget(&subject.client)?;
    builds.built(&text, &[])?;
    all_cached(&builds.built(&text, &[])?)?;
    builds.built(&text, &["--build-arg=LOG=2"])?;

    // Other caches of the same names: the primer runs, and nobody else. Docker 20.10 has a cache's name in the steps' keys, so
    // there they run too.
    let is_alone = subject.engine.kind() != Kind::Docker20_10;
    let apart = "--build-arg=BUILDKIT_CACHE_MOUNT_NS=apart";
    let outcome = builds.built(&text, &[apart])?;
    if is_alone {
        all_cached(&outcome)?;
    }
    let look = builds.upstream(&builds.path("look"), &["--build-arg=AT=1", apart]).run()?;
    let seen: Vec<_> = look.output.lines().filter_map(|line| line.split(' ').nth(2)).collect();
    for path in ["inner/a", "inner/b", "secrets/s"] {
        ensure!(seen.contains(&path), "{path} is not in the cache:\n{}", look.output);
    }
    ensure!(seen.contains(&"log") != is_alone, "who was there?\n{}", look.output);
    Ok(())
}

/// The caches may be gone while the results of earlier builds are still known.
pub(crate) fn primer_after_prune(subject: &Subject) -> Result<()> {
    let builds = Builds::of(subject)?;
    let text = builds.path("text");
    build::forget(&subject.client)?;
    builds.built(&text, &[])?;
    for change in ["--build-arg=LOG=1", "--label=changed=1"] {
        let mut prune = subject.client.buildx();
        command::run(prune.args(["prune", "--force", "--filter=type=exec.cachemount"]))?;
        builds.built(&text, &[change])?;
    }
    Ok(())
}

/// The image holds what upstream's holds.
pub(crate) fn primer_leaves_nothing(subject: &Subject) -> Result<()> {
    let builds = Builds::of(subject)?;
    let text = builds.path("text");
    build::forget(&subject.client)?;
    let ours = files(&subject.client, builds.ours(&text, &[]))?;
    build::forget(&subject.client)?;
    let upstream = files(&subject.client, builds.upstream(&text, &[]))?;
    ensure!(ours.contains("\nb Regular") && ours == upstream, "ours:\n{ours}upstream:\n{upstream}");
    Ok(())
}
