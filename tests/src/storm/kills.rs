//! Builds that are ended at random times, in all ways that CI systems have.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use xtask::{build, command, poll};

use super::raw::{How, Kill, Kills};
use crate::Subject;
use crate::host::{Host, processes};
use crate::random::Random;

/// The last moment at which a build is ended; the step in it takes longer than all of them.
const LATEST: Duration = Duration::from_secs(5);

/// The build's grace, which is ci-build's default, and a little more for what the engine has to end.
const GRACE: Duration = Duration::from_secs(20);

/// How many run at once.
const AT_ONCE: usize = 4;

pub(super) fn run(subject: &Subject, kills: usize, seed: u64) -> Result<Kills> {
    let mut random = Random::new(seed);
    let host = Host::new(subject)?;
    let plans: Vec<_> = (0..kills)
        .map(|number| {
            let how = How::ALL[number % How::ALL.len()];
            (number, how, random.time_below(LATEST))
        })
        .collect();
    let mut runs = Vec::new();
    for plans in plans.chunks(AT_ONCE) {
        let ended: Result<Vec<_>> = thread::scope(|scope| {
            let killing = plans.iter().map(|plan| scope.spawn(|| kill(&host, *plan))).collect::<Vec<_>>();
            killing.into_iter().map(|one| one.join().expect("a kill does not panic")).collect()
        });
        runs.extend(ended?);
    }
    let left = left(subject, &host)?;
    let kills = Kills { engine: subject.engine.kind().name().to_owned(), seed, runs, left };
    eprintln!("{}: {} builds ended, left: {:?}", kills.engine, kills.runs.len(), kills.left);
    Ok(kills)
}

/// Starts a build and ends it.
fn kill(host: &Host, (number, how, after): (usize, How, Duration)) -> Result<Kill> {
    let dir = tempfile::tempdir().context("cannot create a directory")?;
    let mark = format!("6{}{number:06}", std::process::id());
    let text =
        format!("FROM local/busybox\nRUN --mount=type=cache,target=/c echo {number} && sleep {mark}\n");
    fs::write(dir.path().join("Dockerfile"), text).context("cannot write a Dockerfile")?;
    // A job of its own, which writes down its pid and then the build's.
    let script = "echo $$ > \"$0/job\"
        sh -c 'echo $$ > \"$0/.build\" && mv \"$0/.build\" \"$0/build\" && exec \"$CI_BUILD\" build --progress=plain -t kill:$1 \"$0\"' \"$0\" $1; :";
    let mut job = host.session(script);
    job.arg(dir.path()).arg(number.to_string());
    let mut job = job.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let build =
        poll::until(GRACE, || Ok(pid(&dir.path().join("build"))))?.context("the job did not start")?;
    // The random time is what is tested, no event.
    thread::sleep(after);
    let (of, signal) = match how {
        How::Int => (build, Signal::INT),
        How::Term => (build, Signal::TERM),
        How::Hup => (build, Signal::HUP),
        How::Kill => (build, Signal::KILL),
        How::Orphan => (pid(&dir.path().join("job")).context("a job has a pid")?, Signal::KILL),
    };
    let was_over = kill_process(of, signal).is_err();
    let begin = Instant::now();
    let marks = [mark, dir.path().display().to_string()];
    let gone = poll::until(GRACE, || {
        let left = marks.iter().map(|mark| processes(mark)).collect::<Result<Vec<_>>>()?;
        Ok(left.iter().all(Vec::is_empty).then(|| begin.elapsed()))
    })?;
    job.wait()?;
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Ok(Kill { how, after_ms: ms(after), gone_ms: gone.map(ms), was_over })
}

fn pid(file: &Path) -> Option<Pid> {
    Pid::from_raw(fs::read_to_string(file).ok()?.trim().parse().ok()?)
}

/// What is left after one more build.
fn left(subject: &Subject, host: &Host) -> Result<Vec<String>> {
    let mut left = Vec::new();
    if let Err(error) = host.quiet(GRACE) {
        left.push(format!("lock: {error:#}"));
    }
    let dir = tempfile::tempdir().context("cannot create a directory")?;
    fs::write(dir.path().join("Dockerfile"), "FROM local/busybox\nRUN true\n")?;
    // With its job, so that its lease ends with it.
    let mut last = host.session("\"$CI_BUILD\" build --progress=plain \"$0\" || exit; :");
    command::run(last.arg(dir.path()))?;
    left.extend(host.scratch()?.into_iter().map(|file| format!("file {file}")));
    left.extend(host.leases()?.into_iter().map(|image| format!("lease of {image}")));
    let containers = command::output(subject.client.docker().args(["ps", "--all", "--quiet"]))?;
    left.extend(containers.lines().map(|id| format!("container {id}")));
    left.extend(running_steps(subject)?);
    build::forget(&subject.client)?;
    Ok(left)
}

/// Steps that still run: runc's containers below the engine's data.
fn running_steps(subject: &Subject) -> Result<Vec<String>> {
    let engine = subject.engine.pid();
    let children = Command::new("ps").args(["-o", "args=", "--ppid", &engine.to_string()]).output()?;
    let children = String::from_utf8_lossy(&children.stdout).into_owned();
    Ok(children.lines().filter(|line| line.contains("runc")).map(|line| format!("process {line}")).collect())
}
