//! `kill -9` in the middle of a prune: nothing is half recorded, and the next one goes on.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use xtask::command;
use xtask::images::BUSYBOX;

use super::job::{Site, last_lines};
use super::raw::Kills;

/// How many images there are to delete, each with two names, so that one may be half deleted.
const IMAGES: usize = 6;

const PRUNE: [&str; 13] = [
    "prune",
    "--older-than",
    "0",
    "--grace",
    "0",
    "--disk-high",
    "100",
    "--disk-low",
    "100",
    "--keep",
    "local/*",
    "--repository",
    "kill*",
];

/// Kills so many prunes, at moments that are spread over the time that a whole one takes.
///
/// # Errors
/// When images cannot be made, or a program cannot be run.
pub fn run(site: &Site, engine: &str, all: usize) -> Result<Kills> {
    let mut kills = Kills { engine: engine.to_owned(), all, killed: 0, between: 0, complaints: Vec::new() };
    let mut whole = Duration::MAX;
    for _ in 0..3 {
        make(site)?;
        let begin = Instant::now();
        command::run(&mut site.ci_build(&PRUNE))?;
        whole = whole.min(begin.elapsed());
    }
    for number in 0..all {
        make(site)?;
        let mut prune = site.ci_build(&PRUNE);
        let mut child = prune.stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("cannot prune")?;
        // The moment is the experiment: there is no event to wait for.
        std::thread::sleep(moment(whole, number, all));
        child.kill().context("cannot kill a prune")?;
        let status = child.wait().context("cannot wait for a prune")?;
        let left = left(site)?;
        kills.killed += usize::from(status.code().is_none());
        kills.between += usize::from((1..2 * IMAGES).contains(&left));
        kills.complaints.extend(complaint(site)?.map(|complaint| format!("kill {number}: {complaint}")));
    }
    kills.complaints.truncate(5);
    Ok(kills)
}

/// Spread evenly over the time, but not in its order: the engine grows warmer.
fn moment(whole: Duration, number: usize, all: usize) -> Duration {
    whole.mul_f64((number * 37 % all) as f64 / all as f64)
}

fn make(site: &Site) -> Result<()> {
    for number in 0..IMAGES {
        let file = format!("FROM {BUSYBOX}\nLABEL number={number}\n");
        let directory = tempfile::tempdir().context("cannot create a directory")?;
        fs::write(directory.path().join("Dockerfile"), file).context("cannot write a Dockerfile")?;
        let names = ["kill", "kill-too"].map(|name| format!("{name}:{number}"));
        let mut build = site.client.buildx();
        build
            .args(["build", "--quiet"])
            .args(names.iter().flat_map(|name| ["--tag", name]))
            .arg(directory.path());
        command::run(&mut build)?;
    }
    ensure!(left(site)? == 2 * IMAGES, "the images were not made");
    Ok(())
}

/// How many names are left.
fn left(site: &Site) -> Result<usize> {
    let names = command::output(site.client.docker().args(["images", "--format", "{{.Repository}}"]))?;
    Ok(names.lines().filter(|name| name.starts_with("kill")).count())
}

/// What is wrong after a kill, if anything is.
fn complaint(site: &Site) -> Result<Option<String>> {
    let mut stores = fs::read_dir(site.state.join("stores")).context("there is no state")?;
    let store = stores.next().context("there is no store")?.context("cannot list stores")?.path();
    if let Ok(record) = fs::read(store.join("last-prune.json"))
        && serde_json::from_slice::<serde_json::Value>(&record).is_err()
    {
        return Ok(Some("the record of the last prune is broken".to_owned()));
    }
    let next = site.ci_build(&PRUNE).output().context("cannot prune")?;
    Ok(match left(site)? {
        _ if !next.status.success() => Some(format!("the next prune failed: {}", last_lines(&next.stderr))),
        0 => None,
        left => Some(format!("{left} names are left: {}", last_lines(&next.stdout))),
    })
}
