//! Sweeps that are killed by SIGKILL at any moment: what is told is gone, what is gone is told, but for one thing a thread and kill.

use std::collections::HashSet;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result};
use serde_json::Value;

use super::raw::Kills;
use super::{Subject, tree};
use crate::random::Random;

/// How many threads remove: each may have removed one thing that it did not come to tell of.
pub const THREADS: u64 = 2;

/// Each sweep has so many files to remove before the last one comes to its end.
const EACH: u64 = 400;

/// So many times as many are started at the most: some come to their end first.
const TRIES: u64 = 3;

/// Kills so many.
///
/// # Errors
/// When a directory cannot be made, or a sweep does not start.
pub fn run(program: &Path, kills: u64) -> Result<Kills> {
    let place = tempfile::tempdir().context("cannot create a directory")?;
    let subject = Subject { program, state: place.path().join("state") };
    let (directory, trail) = (place.path().join("tree"), place.path().join("state/sweep/trail.jsonl"));
    // Half of the files are old.
    tree::make(&directory, kills * TRIES * EACH * 2)?;
    let before = old_files(&directory)?;
    let mut seen = Kills { files: before.len() as u64, ..Kills::default() };
    let mut random = Random::new(0);
    while seen.killed < kills && seen.all < kills * TRIES {
        seen.all += 1;
        let length = || std::fs::metadata(&trail).map_or(0, |file| file.len());
        let until = length() + random.below(EACH * 190);
        let mut sweep =
            subject.command(&format!("--older-than 7d --io normal --batch 50 --threads {THREADS}"));
        let mut sweep = sweep.arg(&directory).stdout(Stdio::null()).spawn().context("cannot sweep")?;
        while length() < until && sweep.try_wait()?.is_none() {
            std::hint::spin_loop();
        }
        sweep.kill()?;
        seen.killed += u64::from(!sweep.wait()?.success());
        let when = format!("after sweep {}", seen.all);
        check(&before, &directory, &trail, &mut seen, &when)?;
    }
    subject.sweep("--older-than 7d --io normal", &directory)?;
    check(&before, &directory, &trail, &mut seen, "at the end")?;
    let left = old_files(&directory)?;
    if !left.is_empty() {
        seen.complaints.push(format!("{} old files are left", left.len()));
    }
    Ok(seen)
}

/// The paths of old files.
fn old_files(directory: &Path) -> Result<HashSet<String>> {
    let mut found = HashSet::new();
    for entry in std::fs::read_dir(directory)? {
        let inner = entry?.path();
        for file in std::fs::read_dir(&inner)? {
            let path = file?.path();
            let is_old = path.metadata()?.modified()?.elapsed().is_ok_and(|age| age.as_secs() > 86_400);
            if is_old && let Ok(path) = path.strip_prefix(directory) {
                found.insert(path.to_string_lossy().into_owned());
            }
        }
    }
    Ok(found)
}

fn check(
    before: &HashSet<String>,
    directory: &Path,
    trail: &Path,
    seen: &mut Kills,
    when: &str,
) -> Result<()> {
    let left = old_files(directory)?;
    let text = std::fs::read_to_string(trail).unwrap_or_default();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let removed = lines.filter(|line| line["what"] == "removed");
    let told: Vec<String> = removed.filter_map(|line| line["path"].as_str().map(String::from)).collect();
    let once: HashSet<&String> = told.iter().collect();
    if once.len() != told.len() {
        seen.complaints.push(format!("{when}: told twice"));
    }
    if let Some(path) = told.iter().find(|path| left.contains(*path)) {
        seen.complaints.push(format!("{when}: {path} is told to be gone and is there"));
    }
    seen.untold = (before.len() - left.len() - once.len()) as u64;
    if seen.untold > seen.killed * THREADS {
        seen.complaints.push(format!("{when}: {} went untold in {} kills", seen.untold, seen.killed));
    }
    Ok(())
}
