//! Directories so deep that no path leads to their end, and few open files.

use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};

use super::ground::Ground;

const LEVELS: usize = 4000;

fn directory(parent: &OwnedFd, name: &str) -> OwnedFd {
    mkdirat(parent, name, Mode::RWXU).unwrap();
    openat(parent, name, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap()
}

/// Each level has a file, and a directory beside the one that leads down.
fn comb(ground: &Ground) {
    let mut level = openat(CWD, ground.tree(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
    let create = OFlags::CREATE | OFlags::WRONLY;
    for _ in 0..LEVELS {
        openat(&level, "file", create, Mode::RUSR).unwrap();
        let side = directory(&level, "a side");
        openat(&side, "file", create, Mode::RUSR).unwrap();
        level = directory(&level, "level");
    }
}

#[test]
fn four_thousand_levels_are_swept_with_few_open_files() {
    let ground = Ground::new();
    comb(&ground);
    let mut sweep = ground.command("--older-than 0 --threads 2");
    // Whoever has fewer than this cannot even start.
    let words: Vec<_> = std::iter::once(sweep.get_program())
        .chain(sweep.get_args())
        .map(Into::into)
        .collect::<Vec<std::ffi::OsString>>();
    let variables: Vec<_> = sweep
        .get_envs()
        .map(|(name, value)| (name.to_owned(), value.map(Into::into)))
        .collect::<Vec<(_, Option<std::ffi::OsString>)>>();
    sweep = std::process::Command::new("sh");
    sweep.args(["-c", "ulimit -n 48; exec \"$@\"", "sh"]).args(words).env_clear();
    variables.into_iter().filter_map(|(name, value)| Some((name, value?))).for_each(|(name, value)| {
        sweep.env(name, value);
    });
    let output = sweep.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(
        told.contains("8000 of 8000 files removed") && told.contains("8000 empty directories removed"),
        "{told}"
    );
    assert_eq!(std::fs::read_dir(ground.tree()).unwrap().count(), 0);
}
