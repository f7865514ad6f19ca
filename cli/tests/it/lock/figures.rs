//! What the lock costs beside util-linux flock, in one run. It prints, and judges nothing:
//! `cargo test --release -p ci-build --test it -- --ignored --nocapture figures`.

use std::fs::File;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use ci_build::store::Patience;

use super::starvation::store;

const VISIT: Duration = Duration::from_millis(20);
/// Where plain flock starves its writer, this is waited for it.
const ENOUGH: Duration = Duration::from_secs(5);

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[test]
#[ignore = "prints figures"]
fn a_command_under_a_free_lock() {
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("file");
    let time = |command: &mut Command| {
        let started = Instant::now();
        assert!(command.stdout(Stdio::null()).status().unwrap().success());
        started.elapsed()
    };
    let ours = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ci-build"));
        command.args(["lock", "--store", "x", "--", "true"]).env("CI_BUILD_STATE_DIR", state.path());
        command
    };
    let flock = || {
        let mut command = Command::new("flock");
        command.arg(&file).arg("true");
        command
    };
    // In turn, so that what else the machine does falls on both alike.
    let (ours, theirs): (Vec<_>, Vec<_>) = (0..500).map(|_| (time(&mut ours()), time(&mut flock()))).unzip();
    let (ours, theirs) = (median(ours), median(theirs));
    println!(
        "free: ci-build lock {ours:?}, flock {theirs:?}, {:.2}x",
        ours.as_secs_f64() / theirs.as_secs_f64()
    );
}

/// How long a writer waits beside so many readers who come again and again; none if they had to be stopped.
fn writers_wait<R, W>(
    readers: usize,
    read: impl Fn() -> R + Sync,
    write: impl FnOnce() -> W,
) -> Option<Duration> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for reader in 0..readers {
            let (read, stop) = (&read, &stop);
            scope.spawn(move || {
                std::thread::sleep(VISIT * u32::try_from(reader).unwrap() / u32::try_from(readers).unwrap());
                while !stop.load(Ordering::Relaxed) {
                    let guard = read();
                    std::thread::sleep(VISIT);
                    drop(guard);
                }
            });
        }
        std::thread::sleep(VISIT * 3);
        let (has, waits) = channel::<()>();
        let stop = &stop;
        scope.spawn(move || {
            let _ = waits.recv_timeout(ENOUGH);
            stop.store(true, Ordering::Relaxed);
        });
        let started = Instant::now();
        let guard = write();
        let waited = started.elapsed();
        drop((guard, has));
        (waited < ENOUGH).then_some(waited)
    })
}

#[test]
#[ignore = "prints figures"]
fn a_writer_among_overlapping_readers() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    let path = directory.path().join("plain");
    let open = || File::create(&path).unwrap();
    let patience = Patience { wait: Duration::from_secs(60), polite: Duration::ZERO };
    for readers in [1, 8, 64] {
        let ours: Vec<Duration> = (0..10)
            .filter_map(|_| {
                writers_wait(
                    readers,
                    || store.share("reads", patience, |_| {}).unwrap(),
                    || store.exclude("writes", patience, |_| {}).unwrap(),
                )
            })
            .collect();
        let longest = ours.iter().max().copied();
        let plain = writers_wait(
            readers,
            || {
                let file = open();
                file.lock_shared().unwrap();
                file
            },
            || {
                let file = open();
                file.lock().unwrap();
                file
            },
        );
        println!(
            "{readers} readers of {VISIT:?}: the writer waits {:?} (median of 10), {longest:?} at most; plain flock {}",
            median(ours),
            plain.map_or(format!("not within {ENOUGH:?}"), |time| format!("{time:?}")),
        );
    }
}
