//! A million swaps under a sweep, on the disk and in memory; and the same under whoever works by paths.

use std::path::Path;

use anyhow::{Context, Result};

use super::raw::Attack;
use super::swaps::{self, by_paths};

/// Runs all of them, and hands on what came of each.
///
/// # Errors
/// When a directory cannot be made, or what came of one cannot be kept.
pub fn run(most: u64, mut keep: impl FnMut(Attack) -> Result<()>) -> Result<()> {
    for parent in [std::env::temp_dir(), "/dev/shm".into()].into_iter().filter(|parent| parent.is_dir()) {
        let place = tempfile::tempdir_in(&parent).context("cannot create a directory")?;
        let file_system = file_system(&parent)?;
        let base = place.path().join("ours");
        let state = place.path().join("state");
        let mut removed = 0;
        let attack = one(&base, &file_system, "ci-build sweep", most, |tree| {
            // A sweep that finds no directory there fails, and the next one may not.
            removed += swaps::sweep(tree, &state).unwrap_or(0);
        })?;
        let attack = Attack { removed, ..attack };
        eprintln!("{attack:?}");
        keep(attack)?;
        let control = place.path().join("control");
        keep(one(&control, &file_system, "by paths", most, |tree| by_paths(tree, &|_| ()))?)?;
    }
    Ok(())
}

fn one(base: &Path, file_system: &str, who: &str, most: u64, mut sweep: impl FnMut(&Path)) -> Result<Attack> {
    std::fs::create_dir(base).context("cannot create a directory")?;
    let attack = swaps::Attack::new(base).context("cannot make the ground of an attack")?;
    let tree = attack.tree();
    let came = attack.run(most, || sweep(&tree));
    Ok(Attack {
        file_system: file_system.into(),
        who: who.into(),
        swaps: came.swaps,
        sweeps: came.sweeps,
        removed: 0,
        lost: came.lost,
    })
}

/// What it is called (proc_pid_mountinfo(5)), by the longest place of a mount that the path is in.
fn file_system(path: &Path) -> Result<String> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").context("cannot read the mounts")?;
    let of_line = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        Some((before.split(' ').nth(4)?.to_owned(), after.split(' ').next()?.to_owned()))
    };
    let mounts = mounts.lines().filter_map(of_line).filter(|(place, _)| path.starts_with(place));
    let found = mounts.max_by_key(|(place, _)| place.len());
    found.map(|(_, name)| name).context("the path is on no mount")
}
