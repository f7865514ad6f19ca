//! Jobs of all kinds side by side, and a pruner that never rests.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use xtask::command;
use xtask::images::BUSYBOX;

use super::job::{BIG, KINDS, Site, VARIETIES, last_lines};
use super::raw::{Jobs, Load, some_of};

/// Who prunes.
#[derive(Debug)]
pub struct Pruner {
    /// What the results call it.
    pub name: &'static str,
    /// Its command line; none for nobody. `ci-build` and `docker` are the programs it may begin with.
    pub line: Option<&'static str>,
}

/// Ours, as sharp as it can be set while it can still see what has just come; and what people have in cron.
pub const PRUNERS: [Pruner; 4] = [
    Pruner {
        name: "ci-build prune",
        line: Some(
            "ci-build prune --older-than 1s --grace 1s --disk-high 100 --disk-low 100 --dangling --keep local/*",
        ),
    },
    Pruner { name: "image prune -af", line: Some("docker image prune -af") },
    Pruner { name: "system prune -f", line: Some("docker system prune -f") },
    Pruner { name: "nobody", line: None },
];

/// Between two prunes, as in the facts that are to be answered.
const PAUSE: Duration = Duration::from_millis(50);

/// Jobs at the same time.
const WORKERS: usize = 4;

/// Puts what jobs pull into the registry, and takes it from the engine again.
///
/// # Errors
/// When it cannot be made or pushed.
pub fn fill(site: &Site) -> Result<()> {
    let directory = tempfile::tempdir_in(xtask::workspace::target()?).context("cannot create a directory")?;
    let push = |tag: &str, dockerfile: &str| -> Result<()> {
        fs::write(directory.path().join("Dockerfile"), dockerfile).context("cannot write a Dockerfile")?;
        command::run(site.client.buildx().args(["build", "--quiet", "--tag", tag]).arg(directory.path()))?;
        command::run(site.client.docker().args(["push", "--quiet", tag]))?;
        command::run(site.client.docker().args(["rmi", tag]))
    };
    for variety in 0..VARIETIES {
        push(
            &format!("{}/small:{variety}", site.registry),
            &format!("FROM {BUSYBOX}\nRUN echo small {variety} > /v\n"),
        )?;
    }
    let noise = directory.path().join("noise");
    for variety in 0..BIG.1 {
        write_noise(&noise, BIG.0)?;
        push(&format!("{}/big:{variety}", site.registry), "FROM scratch\nCOPY noise /\n")?;
    }
    Ok(())
}

/// Bytes that no layer compresses, other ones each time.
fn write_noise(path: &Path, bytes: usize) -> Result<()> {
    let random = File::open("/dev/urandom").context("there is no randomness")?;
    let mut file = File::create(path).context("cannot create a file")?;
    let copied = std::io::copy(&mut std::io::Read::take(random, bytes as u64), &mut file);
    copied.and_then(|_| file.flush()).context("cannot write a file")
}

/// Runs so many jobs of each kind beside a pruner, or as many as there are before the engine dies.
///
/// # Errors
/// When a program cannot be run. Jobs and prunes that fail are counted.
pub fn run(site: &Site, engine: &str, pruner: &Pruner, each: usize) -> Result<Load> {
    // Builds need the base image, and that it goes is not the question.
    command::run(
        site.client.docker().args(["run", "--detach", "--name", "pin", BUSYBOX, "sleep", "1000000"]),
    )?;
    let begin = Instant::now();
    let line = Line {
        each,
        next: AtomicUsize::new(0),
        is_over: AtomicBool::new(false),
        has_died: AtomicBool::new(false),
        jobs: Mutex::default(),
    };
    let prunes = thread::scope(|scope| -> Result<_> {
        let prunes = scope.spawn(|| prune(site, pruner, &line.is_over));
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(|| line.work(site))).collect();
        let ended: Vec<_> =
            workers.into_iter().map(|worker| worker.join().expect("a worker does not panic")).collect();
        line.is_over.store(true, Ordering::Relaxed);
        let prunes = prunes.join().expect("the pruner does not panic")?;
        ended.into_iter().collect::<Result<Vec<()>>>()?;
        Ok(prunes)
    })?;
    let mut jobs = line.jobs.into_inner().unwrap_or_else(PoisonError::into_inner);
    jobs.values_mut().for_each(|jobs| some_of(&mut jobs.said));
    Ok(Load {
        engine: engine.to_owned(),
        pruner: pruner.name.to_owned(),
        seconds: begin.elapsed().as_secs(),
        prunes: prunes.runs,
        deleted: prunes.deleted,
        failed_prunes: prunes.failures,
        has_died: line.has_died.into_inner(),
        jobs,
    })
}

/// The jobs that wait, and what became of those before.
struct Line {
    each: usize,
    next: AtomicUsize,
    is_over: AtomicBool,
    has_died: AtomicBool,
    jobs: Mutex<BTreeMap<String, Jobs>>,
}

impl Line {
    /// Does one job after the other, until none is left or the engine is dead.
    fn work(&self, site: &Site) -> Result<()> {
        while !self.has_died.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.each * KINDS.len() {
                break;
            }
            let (kind, number) = (&KINDS[number % KINDS.len()], number / KINDS.len());
            let failure = site.run(kind, number)?;
            let has_failed = failure.is_some();
            let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            let of_kind = jobs.entry(kind.name.to_owned()).or_default();
            of_kind.all += 1;
            of_kind.failed += usize::from(has_failed);
            of_kind.said.extend(failure);
            drop(jobs);
            if has_failed && !command::succeeds(site.client.docker().arg("version"))? {
                self.has_died.store(true, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct Prunes {
    runs: usize,
    deleted: usize,
    failures: Vec<String>,
}

fn prune(site: &Site, pruner: &Pruner, is_over: &AtomicBool) -> Result<Prunes> {
    let mut prunes = Prunes::default();
    let Some(line) = pruner.line else { return Ok(prunes) };
    let (program, arguments) = line.split_once(' ').unwrap_or((line, ""));
    while !is_over.load(Ordering::Relaxed) {
        let program = if program == "ci-build" { site.command.as_os_str() } else { program.as_ref() };
        let mut command = site.set_up(program);
        let output = command.args(arguments.split(' ')).output().context("cannot prune")?;
        prunes.runs += 1;
        // Ours says "deleted image …", docker "deleted: sha256:…".
        let stdout = String::from_utf8_lossy(&output.stdout);
        let deleted = stdout.lines().filter(|line| line.starts_with("deleted"));
        prunes.deleted += deleted.filter(|line| line.contains("image") || line.contains(": sha256")).count();
        if !output.status.success() {
            let failed =
                stdout.lines().filter(|line| line.starts_with("failed")).collect::<Vec<_>>().join(" / ");
            prunes.failures.push(format!("{failed} {}", last_lines(&output.stderr)));
        }
        thread::sleep(PAUSE);
    }
    some_of(&mut prunes.failures);
    Ok(prunes)
}
