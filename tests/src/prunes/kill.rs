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

/// How often it is tried for each prune that is to be killed in its middle.
const TRIES: usize = 10;

/// Kills prunes until so many had deleted some of the images and not all, or it was tried ten times as often.
///
/// # Errors
/// When images cannot be made, or a program cannot be run.
pub fn run(site: &Site, engine: &str, wanted: usize) -> Result<Kills> {
    let mut kills =
        Kills { engine: engine.to_owned(), all: 0, killed: 0, between: 0, complaints: Vec::new() };
    make(site)?;
    let begin = Instant::now();
    command::run(&mut site.ci_build(&PRUNE))?;
    let mut moment = Moment { after: begin.elapsed() / 2, is_later_next: true };
    while kills.between < wanted && kills.all < TRIES * wanted {
        make(site)?;
        let mut prune = site.ci_build(&PRUNE);
        let mut child = prune.stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("cannot prune")?;
        // The moment is the experiment: there is no event to wait for.
        std::thread::sleep(moment.after);
        child.kill().context("cannot kill a prune")?;
        let status = child.wait().context("cannot wait for a prune")?;
        let left = left(site)?;
        moment.learn(left);
        kills.killed += usize::from(status.code().is_none());
        kills.between += usize::from((1..2 * IMAGES).contains(&left));
        let number = kills.all;
        kills.complaints.extend(complaint(site)?.map(|complaint| format!("kill {number}: {complaint}")));
        kills.all += 1;
    }
    kills.complaints.truncate(5);
    Ok(kills)
}

/// When a prune is killed: to and fro over its middle, wherever that is with this engine and by now.
struct Moment {
    after: Duration,
    is_later_next: bool,
}

impl Moment {
    /// The next one, where so many names were left.
    fn learn(&mut self, left: usize) {
        let share = if (1..2 * IMAGES).contains(&left) { 0.02 } else { 0.1 };
        // At an end of the middle it turns round.
        self.is_later_next = left == 2 * IMAGES || left > 0 && self.is_later_next;
        self.after = self.after.mul_f64(if self.is_later_next { 1.0 + share } else { 1.0 - share });
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_find_the_middle_and_stay_in_it() {
        // What is left after so many milliseconds of a prune that deletes between these two.
        let left = |begin: f64, end: f64, after: f64| match (end - after) / (end - begin) {
            share if share >= 1.0 => 2 * IMAGES,
            share if share <= 0.0 => 0,
            share => (share * (2 * IMAGES) as f64).ceil().min(2.0 * IMAGES as f64 - 1.0) as usize,
        };
        let mut moment = Moment { after: Duration::from_millis(50), is_later_next: true };
        // The engine grows cold in between, and warm.
        for (begin, end) in [(60.0, 90.0), (300.0, 400.0), (20.0, 30.0)] {
            let mut seen = std::collections::BTreeSet::new();
            let hits = (0..200).filter(|_| {
                let left = left(begin, end, moment.after.as_secs_f64() * 1000.0);
                moment.learn(left);
                seen.insert(left);
                (1..2 * IMAGES).contains(&left)
            });
            assert!(hits.count() > 100, "between {begin} and {end} ms");
            assert!(seen.len() > IMAGES, "all over the middle: {seen:?}");
        }
    }
}
