//! What is solved with `policy=off` is upstream's, byte by byte: on a real engine, for every Dockerfile of testdata.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use ci_build_tests::{Subject, definition};
use xtask::build::Build;
use xtask::engines::{ImageStore, Kind};
use xtask::{images, workspace};

pub(crate) fn with_policy_off(subject: &Subject) -> Result<()> {
    definition::install_capture(&subject.client)?;
    images::debian(&subject.client)?;
    let has_graph_driver = subject.engine.kind().image_store() == ImageStore::GraphDriver;
    let mut compared = 0;
    let mut mended = 0;
    for dockerfile in dockerfiles()? {
        let text = fs::read_to_string(&dockerfile).context("cannot read testdata")?;
        let platforms = text.lines().next().and_then(|line| line.strip_prefix("# platforms: "));
        let is_too_old =
            dockerfile.ends_with("none/heredoc.Dockerfile") && subject.engine.kind() == Kind::Docker20_10;
        let is_control = dockerfile.ends_with("SharedCacheRace/two-stages.Dockerfile");
        // With images in containerd the same BuildKit makes the same definitions as with a graph driver, which refuses what is for
        // several platforms.
        let is_elsewhere = platforms.is_some() == has_graph_driver && !is_control;
        if is_too_old || is_elsewhere {
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
        // The control: what is mended differs.
        if is_control {
            mended +=
                definition::alike_once(|| differences("auto"))?.map_or(0, |(_, different)| different.len());
        }
    }
    let least = if has_graph_driver { 16 } else { 4 };
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
