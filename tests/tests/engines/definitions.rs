//! What is solved with `policy=off` is upstream's, byte by byte: on real engines, for every Dockerfile of testdata. Engines with
//! a graph driver share the Dockerfiles; what newer and older ones make of each of them is in testdata/llb, and the frontend's own
//! tests read and write that.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use ci_build_tests::{Subject, definition};
use xtask::build::Build;
use xtask::engines::{ImageStore, Kind};
use xtask::{command, images, workspace};

use crate::BUILDKITS;

pub(crate) fn with_policy_off(subject: &Subject) -> Result<()> {
    definition::install_capture(&subject.client)?;
    // Nothing runs: what counts of a base image is that it is there, and putting Debian's there takes long.
    let has_debian = command::succeeds(subject.client.docker().args(["image", "inspect", images::DEBIAN]))?;
    if has_debian {
        return captured(subject);
    }
    command::run(subject.client.docker().args(["tag", images::BUSYBOX, images::DEBIAN]))?;
    let captured = captured(subject);
    command::run(subject.client.docker().args(["rmi", images::DEBIAN]))?;
    captured
}

fn captured(subject: &Subject) -> Result<()> {
    let has_graph_driver = subject.engine.kind().image_store() == ImageStore::GraphDriver;
    let mut compared = 0;
    let mut mended = 0;
    for (number, dockerfile) in dockerfiles()?.into_iter().enumerate() {
        let text = fs::read_to_string(&dockerfile).context("cannot read testdata")?;
        let platforms = text.lines().next().and_then(|line| line.strip_prefix("# platforms: "));
        let is_control = dockerfile.ends_with("SharedCacheRace/two-stages.Dockerfile");
        // With images in containerd the same BuildKit makes the same definitions as with a graph driver, which refuses what is for
        // several platforms.
        let is_elsewhere = platforms.is_some() == has_graph_driver;
        let is_new = dockerfile.ends_with("none/heredoc.Dockerfile");
        let is_taken = match subject.engine.kind() {
            Kind::Docker28_5Containerd => true,
            // Older ones do not know what is in it.
            kind if is_new => kind == Kind::Docker28_5,
            _ => subject.takes(number, BUILDKITS),
        };
        if !is_control && (is_elsewhere || !is_taken) {
            continue;
        }
        let differences = |policy: &str| -> Result<Option<definition::Compared>> {
            let captured = tempfile::tempdir().context("cannot create a directory")?;
            let mut build = Build::of(&subject.client, &dockerfile)
                .argument(&definition::capture_argument(&subject.frontend))
                .argument(&format!("--build-arg=CI_BUILD_POLICY={policy}"))
                .argument(&format!("--output=type=local,dest={}", captured.path().display()));
            if let Some(platforms) = platforms {
                build = build.argument(&format!("--platform={platforms}"));
            }
            let outcome = build.run()?;
            ensure!(outcome.succeeded(), "{}: {}", dockerfile.display(), outcome.output);
            definition::compare(captured.path()).map(Some)
        };
        let (count, different) = definition::alike_once(|| differences("off"))?.unwrap_or_default();
        ensure!(different.is_empty(), "{}: {different:?}", dockerfile.display());
        compared += count;
        // The control: what is mended differs, and in what is run, which no chance does.
        if is_control {
            let (_, different) = differences("auto")?.unwrap_or_default();
            mended += different.iter().filter(|part| part.ends_with("ops")).count();
        }
    }
    let least = if has_graph_driver { 6 } else { 4 };
    ensure!(compared >= least, "only {compared} definitions were compared");
    ensure!(mended > 0, "a difference is not seen");
    Ok(())
}

/// Those that a frontend takes.
fn dockerfiles() -> Result<Vec<PathBuf>> {
    let root = workspace::root().join("testdata/dockerfiles");
    let mut found = Vec::new();
    for dir in fs::read_dir(root).context("cannot read testdata")? {
        let dir = dir?.path();
        if dir.is_dir() && !dir.ends_with("bad") {
            for file in fs::read_dir(dir).context("cannot read testdata")? {
                found.push(file?.path());
            }
        }
    }
    found.sort();
    Ok(found)
}
