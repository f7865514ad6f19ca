//! Ctrl-C.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ci_build_tests::Subject;
use ci_build_tests::host::{mark, no_process};
use xtask::build::{self, Build, Outcome};

use crate::messages;

/// What ends with a build has ended after this.
const PATIENCE: Duration = Duration::from_secs(20);

/// A build that is cancelled while a step of it runs ends as upstream's does, and leaves no process.
pub(crate) fn cancelled(subject: &Subject) -> Result<()> {
    let dir = tempfile::tempdir().context("cannot create a directory")?;
    let path = dir.path().join("Dockerfile");
    let mark = mark(dir.path());
    let text = format!("FROM local/busybox\nRUN echo begun && sleep {mark}\n");
    fs::write(&path, text).context("cannot write a Dockerfile")?;
    let cancel = |build: Build| -> Result<Outcome> {
        build::forget(&subject.client)?;
        // What the step writes, and not its name.
        let outcome = build.interrupt(|output| output.lines().any(|line| line.ends_with(" begun"))).run()?;
        ensure!(!outcome.succeeded(), "it was built:\n{}", outcome.output);
        let left = no_process(&mark, PATIENCE).and_then(|()| messages::no_frontend(subject));
        left.with_context(|| outcome.output.clone())?;
        Ok(outcome)
    };
    let upstream = cancel(Build::of(&subject.client, &path))?;
    let ours = cancel(Build::of(&subject.client, &path).through(&subject.frontend))?;
    ensure!(upstream.code == ours.code, "{:?} became {:?}", upstream.code, ours.code);
    let last = |outcome: &Outcome| outcome.output.lines().last().map(str::to_owned);
    ensure!(last(&upstream) == last(&ours), "{}\n{}", upstream.output, ours.output);
    Ok(())
}
