//! What users read, and what must not be left behind.

use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ci_build_tests::{Subject, dockerfile};
use xtask::build::{self, Build};
use xtask::poll;

/// What begins or ends in a moment has done so after this.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn hazard(subject: &Subject) -> Result<()> {
    let told = |build: Build| -> Result<Vec<String>> {
        let outcome = build.run()?;
        ensure!(outcome.succeeded(), "{}", outcome.output);
        let lines = outcome.output.lines().filter(|line| line.contains("ci-build has "));
        Ok(lines.map(str::to_owned).collect())
    };
    let lines = told(subject.ours("SharedCacheRace/two-stages"))?;
    let [line] = &*lines else { anyhow::bail!("not once: {lines:?}") };
    for word in
        ["SharedCacheRace", "/cache", "two-stages.Dockerfile:3", "two-stages.Dockerfile:5", "lock /cache"]
    {
        ensure!(line.contains(word), "no {word} in: {line}");
    }
    for silent in ["none/stages", "SharedCacheRace/go"] {
        let lines = told(subject.ours(silent))?;
        ensure!(lines.is_empty(), "{silent}: {lines:?}");
    }
    Ok(())
}

/// Who may wait for a lock is told before anybody does.
pub(crate) fn waits(subject: &Subject) -> Result<()> {
    build::forget(&subject.client)?;
    let outcome = subject.ours("SharedCacheRace/two-stages").run()?;
    ensure!(outcome.succeeded(), "{}", outcome.output);
    let first = |words: [&str; 2]| {
        let mut lines = outcome.output.lines();
        lines.position(|line| words.into_iter().all(|word| line.contains(word)))
    };
    let told = first(["[ci-build] ", "two-stages.Dockerfile:5"]);
    let begun = first(["[a 2/2]", "RUN"]).min(first(["[b 2/2]", "RUN"]));
    ensure!(told.is_some() && told < begun, "told in line {told:?}, begun in {begun:?}:\n{}", outcome.output);
    Ok(())
}

pub(crate) fn upstreams_errors(subject: &Subject) -> Result<()> {
    for (name, message) in [
        ("bad/unknown-instruction", "unknown instruction: FOO"),
        ("bad/no-such-stage", "invalid stage index 5"),
        ("bad/failing-step", "exit code: 42"),
    ] {
        told_alike(subject, &dockerfile(name), message)?;
    }
    Ok(())
}

/// The engine sends the whole Dockerfile with an error.
pub(crate) fn long_files_errors(subject: &Subject) -> Result<()> {
    let dir = tempfile::tempdir().context("cannot create a directory")?;
    let path = dir.path().join("Dockerfile");
    let text = "# a comment\n".repeat(20_000) + "FROM local/busybox\nFOO bar\n";
    std::fs::write(&path, text).context("cannot write a Dockerfile")?;
    told_alike(subject, &path, "unknown instruction: FOO")
}

fn told_alike(subject: &Subject, dockerfile: &Path, message: &str) -> Result<()> {
    let build = || Build::of(&subject.client, dockerfile);
    let upstream = build().run()?;
    let ours = build().through(&subject.frontend).run()?;
    ensure!(!upstream.succeeded() && !ours.succeeded(), "{} was built", dockerfile.display());
    ensure!(excerpt(&upstream.output) == excerpt(&ours.output), "{}\n{}", upstream.output, ours.output);
    let last = |output: &str| output.lines().rfind(|line| line.starts_with("ERROR: ")).map(str::to_owned);
    let (Some(theirs), Some(own)) = (last(&upstream.output), last(&ours.output)) else {
        anyhow::bail!("no error: {}", ours.output)
    };
    ensure!(theirs.contains(message), "{theirs}");
    ensure!(own.matches(message).count() == theirs.matches(message).count(), "{own}");
    ensure!(!own.contains("ci-build"), "{own}");
    Ok(())
}

/// The lines of the Dockerfile that buildx shows with an error.
fn excerpt(output: &str) -> Vec<&str> {
    output.lines().skip_while(|line| !line.starts_with("-----")).filter(|line| line.contains(" | ")).collect()
}

/// The frontend's process ends with the build, also when the build fails.
pub(crate) fn nothing_left(subject: &Subject) -> Result<()> {
    // The control: while a step runs, there is one.
    let dir = tempfile::tempdir().context("cannot create a directory")?;
    let path = dir.path().join("Dockerfile");
    std::fs::write(&path, "FROM local/busybox\nRUN sleep 1\n").context("cannot write a Dockerfile")?;
    let build = Build::of(&subject.client, &path).through(&subject.frontend).argument("--no-cache");
    let build = thread::spawn(move || build.run());
    let seen = poll::until(PATIENCE, || Ok((!subject.frontends()?.is_empty()).then_some(())))?;
    ensure!(seen.is_some(), "a frontend that runs is not seen");
    build.join().map_err(|_| anyhow::anyhow!("the build's thread panicked"))??;
    for name in ["none/two-lines", "bad/unknown-instruction", "bad/failing-step"] {
        subject.ours(name).run()?;
        no_frontend(subject).context(name)?;
    }
    Ok(())
}

/// Waits until the engine runs no frontend.
pub(crate) fn no_frontend(subject: &Subject) -> Result<()> {
    let ended = poll::until(PATIENCE, || Ok(subject.frontends()?.is_empty().then_some(())))?;
    ensure!(ended.is_some(), "frontends are left running: {:?}", subject.frontends()?);
    Ok(())
}
