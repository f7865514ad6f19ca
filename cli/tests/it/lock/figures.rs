//! What the lock costs beside util-linux flock, in one run. It judges nothing: `cargo xtask locks` runs it in release, keeps what
//! it writes, and makes the table of docs/locks.md of it.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use ci_build::store::Patience;
use serde_json::{Value, json};

use super::starvation::store;

/// What a reader does with the lock.
const VISIT: Duration = Duration::from_millis(20);
/// Where plain flock starves its writer, this is waited for it.
const ENOUGH: Duration = Duration::from_secs(5);
const PATIENCE: Patience = Patience { wait: Duration::from_secs(60), polite: Duration::ZERO };

#[test]
#[ignore = "measures, for `cargo xtask locks`"]
fn figures() {
    let directory = tempfile::tempdir().unwrap();
    let writers = [1, 8, 64].map(|readers| writer(directory.path(), readers));
    let (free, readers) = (free(directory.path()), readers(directory.path()));
    let figures = json!({ "free": free, "writer": writers, "readers": readers });
    println!("{figures:#}");
    if let Some(path) = std::env::var_os("CI_BUILD_FIGURES") {
        std::fs::write(path, figures.to_string()).unwrap();
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// A command under a lock that nobody else wants, in pairs with flock.
fn free(directory: &Path) -> Value {
    let time = |command: &mut Command| {
        let started = Instant::now();
        assert!(command.stdout(Stdio::null()).status().unwrap().success());
        started.elapsed()
    };
    let state = directory.join("free");
    let ours = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ci-build"));
        command.args(["lock", "--store", "x", "--", "true"]).env("CI_BUILD_STATE_DIR", &state);
        time(&mut command)
    };
    let flock = || time(Command::new("flock").arg(directory.join("free.lock")).arg("true"));
    // The first makes directories.
    ours();
    // In turn, so that what else the machine does falls on both alike.
    let pairs: Vec<_> = (0..1000).map(|_| (ours(), flock())).collect();
    let (ours, theirs): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
    let mut ratios: Vec<f64> =
        pairs.iter().map(|(ours, theirs)| ours.as_secs_f64() / theirs.as_secs_f64()).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    let (ours, theirs) = (median(ours), median(theirs));
    json!({
        "what": "ci-build lock --store x -- true beside flock FILE true",
        "pairs_ms": pairs.iter().map(|(ours, theirs)| [ms(*ours), ms(*theirs)]).collect::<Vec<_>>(),
        "median_ours_ms": ms(ours),
        "median_flock_ms": ms(theirs),
        "ratio_of_medians": (ours.as_secs_f64() / theirs.as_secs_f64() * 100.0).round() / 100.0,
        "median_ratio": (ratios[ratios.len() / 2] * 100.0).round() / 100.0,
    })
}

/// How long a writer waits beside so many readers who come again and again, and how long the longest of them stayed
/// meanwhile; no wait if they had to be stopped.
fn writers_wait<R, W>(
    readers: usize,
    read: impl Fn() -> R + Sync,
    write: impl FnOnce() -> W,
) -> (Option<Duration>, Duration) {
    let stop = AtomicBool::new(false);
    let longest = Mutex::new(Duration::ZERO);
    let waited = std::thread::scope(|scope| {
        let (inside, entered) = channel::<()>();
        for reader in 0..readers {
            let (read, stop, longest, inside) = (&read, &stop, &longest, inside.clone());
            scope.spawn(move || {
                // One after the other, so that their visits overlap.
                std::thread::sleep(VISIT * u32::try_from(reader).unwrap() / u32::try_from(readers).unwrap());
                let mut inside = Some(inside);
                while !stop.load(Ordering::Relaxed) {
                    let guard = read();
                    let since = Instant::now();
                    drop(inside.take());
                    std::thread::sleep(VISIT);
                    let mut longest = longest.lock().unwrap();
                    *longest = longest.max(since.elapsed());
                    drop(longest);
                    drop(guard);
                }
            });
        }
        drop(inside);
        // Until all of them have been in and let go of their ends.
        let _ = entered.recv();
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
    });
    (waited, longest.into_inner().unwrap())
}

fn writer(directory: &Path, readers: usize) -> Value {
    let store = store(&directory.join(format!("writer-{readers}")));
    let rounds: Vec<_> = (0..20)
        .map(|_| {
            writers_wait(
                readers,
                || store.share("reads", PATIENCE, |_| {}).unwrap(),
                || store.exclude("writes", PATIENCE, |_| {}).unwrap(),
            )
        })
        .collect();
    let path = directory.join("plain");
    let (plain, _) = writers_wait(readers, || shared(&path), || exclusive(&path));
    let waits: Vec<Duration> = rounds.iter().filter_map(|(waited, _)| *waited).collect();
    let over =
        |(waited, longest): &(Option<Duration>, Duration)| waited.unwrap_or(ENOUGH).saturating_sub(*longest);
    json!({
        "readers": readers,
        "rounds": rounds.iter().map(|(waited, longest)| json!({
            "waited_ms": waited.map(ms),
            "longest_reader_ms": ms(*longest),
        })).collect::<Vec<_>>(),
        "starved": rounds.len() - waits.len(),
        "median_ms": (!waits.is_empty()).then(|| ms(median(waits.clone()))),
        "most_ms": waits.iter().max().copied().map(ms),
        "most_over_longest_reader_ms": rounds.iter().map(over).max().map(ms),
        "plain_flock_ms": plain.map(ms),
        "plain_flock_given_up_after_ms": ms(ENOUGH),
    })
}

fn shared(path: &Path) -> File {
    let file = File::create(path).unwrap();
    file.lock_shared().unwrap();
    file
}

fn exclusive(path: &Path) -> File {
    let file = File::create(path).unwrap();
    file.lock().unwrap();
    file
}

/// How long readers wait to get in, by whom else there is.
fn readers(directory: &Path) -> Value {
    let store = store(&directory.join("readers"));
    let read = || stay_with(store.share("reads", PATIENCE, |_| {}).unwrap());
    let alone = waits(read, || false);
    let queued = waits(read, || {
        drop(store.exclude("writes", PATIENCE, |_| {}).unwrap());
        true
    });
    json!([told("8 readers", alone), told("8 readers, and a writer who is always queued", queued)])
}

/// What a reader does who is in.
fn stay_with<G>(guard: G) -> impl FnOnce() {
    move || {
        std::thread::sleep(VISIT);
        drop(guard);
    }
}

/// How long it took 8 readers to get in, again and again for 4 seconds, beside somebody who writes until it says that it does
/// not.
fn waits<L: FnOnce()>(enter: impl Fn() -> L + Sync, write: impl Fn() -> bool + Sync) -> Vec<Duration> {
    let (until, all) = (Instant::now() + Duration::from_secs(4), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        scope.spawn(|| while Instant::now() < until && write() {});
        for _ in 0..8 {
            scope.spawn(|| {
                while Instant::now() < until {
                    let started = Instant::now();
                    let leave = enter();
                    all.lock().unwrap().push(started.elapsed());
                    leave();
                }
            });
        }
    });
    all.into_inner().unwrap()
}

fn told(what: &str, mut waits: Vec<Duration>) -> Value {
    waits.sort_unstable();
    let at = |percent: usize| ms(waits[(waits.len() - 1) * percent / 100]);
    json!({
        "what": what,
        "visits": waits.len(),
        "median_ms": at(50),
        "p99_ms": at(99),
        "most_ms": at(100),
    })
}
