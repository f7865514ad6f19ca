//! Ctrl-C.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ci_build_tests::Subject;
use xtask::build::{self, Build, Outcome};
use xtask::poll;

use crate::messages;

/// So long that nobody else on the machine sleeps for it.
const SECONDS: &str = "61740";

/// A build that is cancelled while a step of it runs ends as upstream's does, and leaves no process.
pub(crate) fn cancelled(subject: &Subject) -> Result<()> {
    let dir = tempfile::tempdir().context("cannot create a directory")?;
    let path = dir.path().join("Dockerfile");
    let text = format!("FROM local/busybox\nRUN echo begun && sleep {SECONDS}\n");
    fs::write(&path, text).context("cannot write a Dockerfile")?;
    let cancel = |build: Build| -> Result<Outcome> {
        build::forget(&subject.client)?;
        // What the step writes, and not its name.
        let outcome = build.interrupt(|output| output.lines().any(|line| line.ends_with(" begun"))).run()?;
        ensure!(!outcome.succeeded(), "it was built:\n{}", outcome.output);
        nothing_left().with_context(|| outcome.output.clone())?;
        Ok(outcome)
    };
    let upstream = cancel(Build::of(&subject.client, &path))?;
    let ours = cancel(Build::of(&subject.client, &path).through(&subject.frontend))?;
    ensure!(upstream.code == ours.code, "{:?} became {:?}", upstream.code, ours.code);
    let last = |outcome: &Outcome| outcome.output.lines().last().map(str::to_owned);
    ensure!(last(&upstream) == last(&ours), "{}\n{}", upstream.output, ours.output);
    Ok(())
}

fn nothing_left() -> Result<()> {
    let there = messages::frontends()?;
    let ended = poll::until(Duration::from_secs(20), || {
        let left = messages::frontends()?;
        let are_gone = there.iter().all(|process| !left.contains(process));
        Ok((are_gone && sleeping()? == 0).then_some(()))
    })?;
    ensure!(ended.is_some(), "something is left running");
    Ok(())
}

/// How many processes are the step's.
fn sleeping() -> Result<usize> {
    let mut count = 0;
    for entry in fs::read_dir("/proc")? {
        // A process may end while we look.
        let command = fs::read(entry?.path().join("cmdline")).unwrap_or_default();
        count += usize::from(
            command.starts_with(b"sleep\0") && command.windows(5).any(|at| at == SECONDS.as_bytes()),
        );
    }
    Ok(count)
}
