//! A sweep that is killed at any moment: what it says it removed is gone, what it removed it says, but for one thing at the most, and the
//! next one goes on.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use super::ground::{DAY, Ground};

#[test]
fn a_sweep_that_is_killed_has_said_what_it_did() {
    const FILES: usize = 300;
    let ground = Ground::new();
    for number in 0..FILES {
        ground.file(format!("d{}/f{number}", number % 10), 30 * DAY);
    }
    ground.age_directories(30 * DAY);
    let mut kills = 0;
    // Each is killed after some more things, which it tells one by one.
    for after in [1, 2, 5, 17, 40, 80] {
        let mut sweep = ground.command("--older-than 7d --verbose --empty never --ops-per-second 500");
        let mut sweep = sweep.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(sweep.stdout.take().unwrap()).lines();
        let told = lines
            .take(after)
            .filter(|line| line.as_ref().is_ok_and(|line| line.starts_with("removed")))
            .count();
        sweep.kill().unwrap();
        let ended = sweep.wait().unwrap();
        kills += usize::from(!ended.success());
        assert_eq!(told, after);
        check(&ground, FILES, kills);
    }
    assert!(kills > 0, "none was killed before its end");
    ground.sweep("--older-than 7d");
    check(&ground, FILES, kills);
    // Directories that a killed one emptied were changed by that, and go when they are old again.
    assert!(!ground.left().iter().any(|path| path.contains('/')), "{:?}", ground.left());
    let ends = ground.lines().iter().filter(|line| line["what"] == "end").count();
    assert_eq!(ends, 7 - kills, "only what came to its end says so");
}

/// What the trail says is gone is gone, once, and no more than one thing a kill is missing there.
fn check(ground: &Ground, files: usize, kills: usize) {
    let lines = ground.lines();
    let told: Vec<&str> = lines
        .iter()
        .filter(|line| line["what"] == "removed")
        .map(|line| line["path"].as_str().unwrap())
        .collect();
    let once: BTreeSet<&str> = told.iter().copied().collect();
    assert_eq!(once.len(), told.len(), "told twice");
    assert!(told.iter().all(|path| !ground.tree().join(path).exists()), "told and still there");
    let left = ground.left().iter().filter(|path| path.contains('/')).count();
    let missing = files - left - told.len();
    assert!(missing <= kills, "{missing} things went without a word in {kills} kills");
}
