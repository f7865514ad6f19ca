//! Where there is nothing to mend, the build is upstream's: the same image, from the same cache.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use ci_build_tests::Subject;
use xtask::build::{self, Build};
use xtask::engines::Kind;

pub(crate) fn without_hazards(subject: &Subject) -> Result<()> {
    let names = ["none/two-lines", "none/one-stage", "none/locks-in-sequence", "none/stages", "none/heredoc"];
    for (number, name) in names.into_iter().enumerate() {
        twice(subject, name, number % 2 == 0, |build| build)?;
    }
    Ok(())
}

pub(crate) fn with_policy_off(subject: &Subject) -> Result<()> {
    let off = |build: Build| build.argument("--build-arg=CI_BUILD_POLICY=off");
    // Hazards that do no harm when two steps really run at once.
    let names = ["SharedCacheRace/go", "MixedCacheSharing/one-after-the-other", "none/stages"];
    for (number, name) in names.into_iter().enumerate() {
        twice(subject, name, number % 2 == 0, off)?;
    }
    Ok(())
}

/// Upstream's build and then ours, or the other way round: the second one gives the same image and runs nothing. A Dockerfile
/// that the engine is too old for fails in both, with the same words.
fn twice(subject: &Subject, name: &str, ours_first: bool, change: impl Fn(Build) -> Build) -> Result<()> {
    let ours = change(subject.ours(name));
    let upstream = change(subject.upstream(name));
    if name == "none/heredoc" && subject.engine.kind() == Kind::Docker20_10 {
        return refused_alike(subject, name);
    }
    let (first, second) = if ours_first { (ours, upstream) } else { (upstream, ours) };
    build::forget(&subject.client)?;
    let (image, _) = image(first)?;
    let (again, steps) = self::image(second)?;
    ensure!(image == again, "{name}: {image} became {again}");
    ensure!(
        !steps.is_empty() && steps.iter().all(|(_, cached)| *cached),
        "{name}: not all cached: {steps:?}"
    );
    Ok(())
}

fn refused_alike(subject: &Subject, name: &str) -> Result<()> {
    let refusal = "unknown instruction";
    for build in [subject.upstream(name), subject.ours(name)] {
        let outcome = build.run()?;
        ensure!(!outcome.succeeded() && outcome.output.matches(refusal).count() == 1, "{}", outcome.output);
    }
    Ok(())
}

/// The image's id, and the steps with whether each came from the cache.
fn image(build: Build) -> Result<(String, Vec<(String, bool)>)> {
    let file = tempfile::NamedTempFile::new().context("cannot create a file")?;
    let path: &Path = file.path();
    // Provenance names the frontend, and an image with it has another id where the store keeps it with the image.
    let build = build.argument("--provenance=false").argument(&format!("--iidfile={}", path.display()));
    let outcome = build.run()?;
    ensure!(outcome.succeeded(), "{}", outcome.output);
    let id = std::fs::read_to_string(path).context("cannot read the image's id")?;
    let steps = outcome.steps().into_iter().map(|(name, cached)| (name.to_owned(), cached));
    Ok((id, steps.collect()))
}
