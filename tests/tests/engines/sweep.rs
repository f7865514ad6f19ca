//! `ci-build sweep --cache-mount` on real engines.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use ci_build_tests::Subject;
use xtask::images;

/// What is old in a cache mount goes, and what is new stays, and a build finds the same cache with the rest of it.
pub(crate) fn cache_mount(subject: &Subject) -> Result<()> {
    images::debian(&subject.client)?;
    let id = format!("sweep-{}", std::process::id());
    let list = "ls /c";
    ensure!(
        step(
            subject,
            &id,
            "mkdir /c/d; touch /c/new /c/d/new; touch -d 2001-01-01 /c/old /c/d/old; ls /c",
            "fill"
        )?
        .contains("old")
    );
    let sweep = |flags: &[&str]| -> Result<String> {
        let mut sweep = subject.client.set_up(Command::new(&subject.command));
        sweep.args([
            "sweep",
            "--cache-mount",
            &id,
            "--cache-mount-image",
            images::DEBIAN,
            "--older-than",
            "7d",
        ]);
        let output = sweep.args(flags).output().context("cannot sweep")?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{said}");
        Ok(said)
    };
    let said = sweep(&["--dry-run"])?;
    ensure!(said.contains("2 of 4 files would go"), "{said}");
    let said = sweep(&["--verbose"])?;
    ensure!(said.contains("2 of 4 files removed") && said.contains("d/old"), "{said}");
    let left = step(subject, &id, list, "look")?;
    ensure!(left.contains("new") && !left.contains("old"), "{left}");
    Ok(())
}

/// What a step says that has the cache.
fn step(subject: &Subject, id: &str, script: &str, nonce: &str) -> Result<String> {
    let directory = tempfile::tempdir().context("cannot create a directory")?;
    let text = format!(
        "FROM {}\nRUN --mount=type=cache,id={id},target=/c,sharing=locked : {nonce}; {script}\n",
        images::DEBIAN
    );
    fs::write(directory.path().join("Dockerfile"), text).context("cannot write a Dockerfile")?;
    let mut build = subject.client.buildx();
    build.args(["build", "--progress", "plain", "--output", "type=cacheonly"]).arg(directory.path());
    let output = build.output().context("cannot build")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{said}");
    // Of the step's own lines, not of those that tell its command.
    let lines = said.lines().filter(|line| !line.contains("RUN "));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}
