//! Jobs in parallel loops while somebody prunes the engine.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use xtask::command;
use xtask::images::BUSYBOX;

use super::raw::{Side, Storm};
use crate::Subject;
use crate::host::Host;

/// Two stages that share a cache, with something new in each build.
const DOCKERFILE: &str = "\
FROM local/busybox AS a
ARG JOB
RUN --mount=type=cache,target=/c echo $JOB > /a && cp /a /c/a
FROM local/busybox
ARG JOB
RUN --mount=type=cache,target=/c echo $JOB > /b && cp /b /c/b
COPY --from=a /a /
";

/// After so many deaths of an engine its side is over.
const DEATHS: usize = 20;

/// The sides on one engine, so many jobs each, from where the other left it. The engine is stopped at the end.
pub(super) fn run(
    mut subject: Subject,
    sides: &[(Side, usize)],
    loops: usize,
    rest: Duration,
) -> Result<Vec<Storm>> {
    let mut storms = Vec::new();
    for &(side, jobs) in sides.iter().filter(|(_, jobs)| *jobs > 0) {
        let begin = Instant::now();
        let storm = Mutex::new(Storm {
            engine: subject.engine.kind().name().to_owned(),
            side,
            loops,
            jobs: 0,
            failed_builds: 0,
            failed_runs: 0,
            prunes: 0,
            failed_prunes: 0,
            longest_prune_ms: 0,
            deaths: 0,
            seconds: 0,
            errors: BTreeMap::new(),
        });
        let next = AtomicUsize::new(0);
        loop {
            one_life(&subject, side, &storm, &next, jobs, loops, rest)?;
            let deaths = storm.lock().unwrap_or_else(PoisonError::into_inner).deaths;
            if next.load(Ordering::Relaxed) >= jobs || deaths >= DEATHS {
                break;
            }
            let kind = subject.engine.kind();
            // What cannot be stopped any more is gone.
            let _ = subject.engine.stop();
            subject = Subject::start(kind)?;
        }
        let mut storm = storm.into_inner().unwrap_or_else(PoisonError::into_inner);
        storm.seconds = begin.elapsed().as_secs();
        eprintln!("{}", serde_json::to_string(&storm)?);
        storms.push(storm);
    }
    subject.engine.stop()?;
    Ok(storms)
}

/// Jobs until there are no more, or the engine has died.
fn one_life(
    subject: &Subject,
    side: Side,
    storm: &Mutex<Storm>,
    next: &AtomicUsize,
    jobs: usize,
    loops: usize,
    rest: Duration,
) -> Result<()> {
    let host = Host::new(subject)?;
    let context = tempfile::tempdir().context("cannot create a directory")?;
    std::fs::write(context.path().join("Dockerfile"), DOCKERFILE).context("cannot write a Dockerfile")?;
    // What runs is not pruned: there is no registry that the base image would come back from.
    command::run(subject.client.docker().args([
        "run",
        "--detach",
        "--name=keeper",
        BUSYBOX,
        "sleep",
        "1000000",
    ]))?;
    let (is_over, is_dead) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| -> Result<()> {
        let pruner = scope.spawn(|| prune(subject, &host, side, storm, &is_over, rest));
        let workers: Vec<_> = (0..loops)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    while !is_dead.load(Ordering::Relaxed) {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= jobs {
                            break;
                        }
                        if !job(&host, side, storm, number, context.path())? && !is_alive(subject)? {
                            is_dead.store(true, Ordering::Relaxed);
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        let worked: Result<()> =
            workers.into_iter().try_for_each(|worker| worker.join().expect("a loop does not panic"));
        is_over.store(true, Ordering::Relaxed);
        pruner.join().expect("the pruner does not panic")?;
        worked
    })?;
    if is_dead.into_inner() {
        storm.lock().unwrap_or_else(PoisonError::into_inner).deaths += 1;
        return Ok(());
    }
    command::run(subject.client.docker().args(["rm", "--force", "keeper"]))?;
    ensure!(host.scratch()?.is_empty(), "builds left files");
    Ok(())
}

fn is_alive(subject: &Subject) -> Result<bool> {
    command::succeeds(subject.client.docker().args(["version", "--format", "{{.Server.Version}}"]))
}

/// One job: it builds an image and runs it. Whether all went well.
fn job(host: &Host, side: Side, storm: &Mutex<Storm>, number: usize, context: &Path) -> Result<bool> {
    // The exit code tells the steps apart: 3 is the build's, 4 the run's.
    let (build, lock) = match side {
        Side::CiBuild => ("\"$CI_BUILD\" build", &["lock", "--shared", "--wait", "1h", "--"][..]),
        Side::Without => ("docker buildx build", &[][..]),
    };
    let script = format!(
        "{build} --progress=plain --build-arg JOB=$1 -t soak:$1 \"$0\" || exit 3
         docker run --rm --network=none soak:$1 cat /a /b || exit 4"
    );
    let mut command = match side {
        Side::CiBuild => host.command(lock),
        Side::Without => host.set_up(Command::new("env")),
    };
    command.args(["sh", "-c", &script]).arg(context).arg(number.to_string());
    let output = command.stdin(Stdio::null()).output().context("cannot run a job")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let expected = number.to_string();
    let is_right = said.lines().eq([&*expected, &expected]);
    let mut storm = storm.lock().unwrap_or_else(PoisonError::into_inner);
    storm.jobs += 1;
    match output.status.code() {
        Some(0) if is_right => return Ok(true),
        Some(3) => storm.failed_builds += 1,
        _ => storm.failed_runs += 1,
    }
    *storm.errors.entry(kind_of_error(&output.stderr)).or_default() += 1;
    Ok(false)
}

/// The last line that says what went wrong, without what differs from job to job.
fn kind_of_error(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let is_error =
        |line: &&str| ["ERROR", "rror: ", "docker: ", "panic"].iter().any(|word| line.contains(word));
    let line = text.lines().rev().find(is_error).or(text.lines().last()).unwrap_or("nothing said");
    let mut kind = String::new();
    for word in line.split_whitespace() {
        let is_own = word.chars().any(|c| c.is_ascii_digit());
        kind.push_str(if is_own { "…" } else { word });
        kind.push(' ');
    }
    kind.trim_end().chars().take(160).collect()
}

/// Prunes all that is not in use, again and again.
fn prune(
    subject: &Subject,
    host: &Host,
    side: Side,
    storm: &Mutex<Storm>,
    is_over: &AtomicBool,
    rest: Duration,
) -> Result<()> {
    while !is_over.load(Ordering::Relaxed) {
        thread::sleep(rest);
        let mut prune = match side {
            Side::CiBuild => host.command(&[
                "lock",
                "--exclusive",
                "--wait",
                "1h",
                "--",
                "docker",
                "system",
                "prune",
                "-af",
            ]),
            Side::Without => {
                let mut docker = subject.client.docker();
                docker.args(["system", "prune", "-af"]);
                docker
            }
        };
        let begin = Instant::now();
        let is_well = command::succeeds(&mut prune)?;
        let taken = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut storm = storm.lock().unwrap_or_else(PoisonError::into_inner);
        storm.longest_prune_ms = storm.longest_prune_ms.max(taken);
        *if is_well { &mut storm.prunes } else { &mut storm.failed_prunes } += 1;
    }
    Ok(())
}
