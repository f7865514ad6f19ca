//! How long it takes to look at many files, and to remove half of them, beside `find` and `systemd-tmpfiles` on the same directory, in turn.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use super::raw::Speed;
use super::{Subject, tree};

/// What is measured: of files that are in memory, or on the disk alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// To look at files in memory
    Scan,
    /// To look at files on the disk
    ColdScan,
    /// To delete half of the files, in memory
    Delete,
    /// To delete half of the files, on the disk
    ColdDelete,
}

/// Measures these with so many files, and hands on each measurement.
///
/// # Errors
/// When a program does not do its part, or a measurement cannot be kept.
pub fn run(
    program: &Path,
    (files, runs): (u64, usize),
    is_asked_for: impl Fn(What) -> bool,
    mut keep: impl FnMut(Speed) -> Result<()>,
) -> Result<()> {
    let place = tempfile::tempdir().context("cannot create a directory")?;
    let subject = Subject { program, state: place.path().join("state") };
    let directory = place.path().join("tree");
    tree::make(&directory, files)?;
    let is_chosen = |(what, _): &(What, bool)| is_asked_for(*what);
    for (_, is_cold) in [(What::Scan, false), (What::ColdScan, true)].into_iter().filter(&is_chosen) {
        let mut speed = Speed { what: "scan".into(), files, is_cold, ..Speed::default() };
        for _ in 0..runs {
            for (name, mut command) in scans(&subject, &directory, place.path())? {
                measure(&mut speed, name, &mut command, is_cold)?;
            }
        }
        eprintln!("{}", super::report::line(&speed));
        keep(speed)?;
    }
    for (_, is_cold) in [(What::Delete, false), (What::ColdDelete, true)].into_iter().filter(&is_chosen) {
        let mut speed = Speed { what: "delete".into(), files, is_cold, ..Speed::default() };
        for _ in 0..runs {
            for (name, mut command) in deletions(&subject, &directory, place.path())? {
                tree::make(&directory, files)?;
                rustix::fs::sync();
                measure(&mut speed, name, &mut command, is_cold)?;
                ensure!(count(&directory)? == files / 2, "{name} did not remove half of the files");
            }
        }
        eprintln!("{}", super::report::line(&speed));
        keep(speed)?;
    }
    Ok(())
}

/// The programs beside which it is measured.
#[must_use]
pub fn programs() -> BTreeMap<String, String> {
    let version = |program: &str| {
        let output = Command::new(program).arg("--version").output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).lines().next()?.to_owned();
        Some((program.to_owned(), text))
    };
    ["find", "systemd-tmpfiles"].into_iter().filter_map(version).collect()
}

/// Each looks at all files and finds none: by the newest of atime and mtime.
fn scans(subject: &Subject<'_>, tree: &Path, place: &Path) -> Result<[(&'static str, Command); 3]> {
    let mut ours = subject.command("--dry-run --max-files 100000000");
    ours.arg(tree);
    let mut find = Command::new("find");
    find.arg(tree).args(["-type", "f", "-atime", "+20000", "-mtime", "+20000", "-print"]);
    Ok([("ci-build", ours), ("find", find), ("systemd-tmpfiles", tmpfiles(tree, place, 20_000)?)])
}

/// Each removes the half that is old.
fn deletions(subject: &Subject<'_>, tree: &Path, place: &Path) -> Result<[(&'static str, Command); 3]> {
    let mut ours = subject.command("--older-than 7d --io normal --empty never");
    ours.arg(tree);
    let mut find = Command::new("find");
    find.arg(tree).args(["-type", "f", "-atime", "+7", "-mtime", "+7", "-delete"]);
    Ok([("ci-build", ours), ("find", find), ("systemd-tmpfiles", tmpfiles(tree, place, 7)?)])
}

/// By atime and mtime of files: ctime and birth of what was just made are now.
fn tmpfiles(tree: &Path, place: &Path, days: u64) -> Result<Command> {
    let file = place.join(format!("tmpfiles-{days}.conf"));
    std::fs::write(&file, format!("e {} - - - am:{days}d\n", tree.display())).context("cannot write")?;
    let mut command = Command::new("systemd-tmpfiles");
    command.arg("--clean").arg(file);
    Ok(command)
}

fn measure(speed: &mut Speed, name: &str, command: &mut Command, is_cold: bool) -> Result<()> {
    if is_cold {
        rustix::fs::sync();
        std::fs::write("/proc/sys/vm/drop_caches", "3").context("only root measures what is cold")?;
    }
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let before = processor_time()?;
    let begin = Instant::now();
    let mut child = command.spawn().with_context(|| format!("cannot run {name}"))?;
    let status = Path::new("/proc").join(child.id().to_string()).join("status");
    let ended = AtomicBool::new(false);
    let (exit, ms, most) = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut most = 0;
            while !ended.load(Ordering::Relaxed) {
                most = most.max(peak(&status));
                std::thread::sleep(Duration::from_millis(5));
            }
            most
        });
        let exit = child.wait();
        let ms = begin.elapsed().as_secs_f64() * 1000.0;
        ended.store(true, Ordering::Relaxed);
        (exit, ms, watch.join().unwrap_or(0))
    });
    let exit = exit?;
    ensure!(exit.success(), "{name} ended with {exit}");
    speed.ms.entry(name.into()).or_default().push(ms);
    speed.cpu.entry(name.into()).or_default().push(processor_time()? - before);
    let memory = speed.memory.entry(name.into()).or_default();
    *memory = most.max(*memory);
    Ok(())
}

/// The processor time of all children that were waited for, in milliseconds, to ten of them (proc_pid_stat(5), time(7)).
fn processor_time() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").context("cannot read what the children took")?;
    // Behind the name, which may have spaces: the state is the third field, the user and system time of children the 16th and 17th.
    let fields = text.rsplit_once(") ").map(|(_, fields)| fields.split(' ').skip(13).take(2));
    let ticks = fields.into_iter().flatten().map(str::parse::<f64>).sum::<Result<f64, _>>();
    Ok(ticks.context("cannot read what the children took")? * 10.0)
}

/// The most memory that a process had so far, in KiB (proc_pid_status(5)).
fn peak(status: &Path) -> u64 {
    let text = std::fs::read_to_string(status).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok()).unwrap_or(0)
}

fn count(tree: &Path) -> Result<u64> {
    let mut count = 0;
    for directory in std::fs::read_dir(tree)? {
        count += std::fs::read_dir(directory?.path())?.count() as u64;
    }
    Ok(count)
}
