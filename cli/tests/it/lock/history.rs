//! Many processes enter and leave, some are killed at any moment, and the history that they write is checked:
//! one writer or readers, never both.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ci_build::store::{Identity, Mode, Patience, Store};

/// How much is done: little by default, and what issue 6 asks for with `CI_BUILD_BIG=1`.
fn size() -> (usize, usize) {
    if std::env::var_os("CI_BUILD_BIG").is_some() { (64, 100_000) } else { (16, 2_000) }
}

/// Nobody waits longer than this. It is far above what is seen, and far below never.
const BOUND: Duration = Duration::from_secs(60);

/// Small, quick, and the same again from the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// One line of the history. Lines are appended whole, so their order is the order of what happened: entered is
/// said after the lock is had, left before it is let go, killed before the signal is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Entered(u64, Mode),
    Left(u64),
    Killed(u64),
}

fn parse(line: &str) -> Option<Event> {
    let (what, who) = line.split_once(' ')?;
    let who = who.parse().ok()?;
    Some(match what {
        "reads" => Event::Entered(who, Mode::Shared),
        "writes" => Event::Entered(who, Mode::Exclusive),
        "left" => Event::Left(who),
        "killed" => Event::Killed(who),
        _ => return None,
    })
}

/// How often somebody entered, or the first event that must not be. Whoever was killed inside counts as outside
/// from the moment of the signal on.
fn check(events: impl Iterator<Item = Event>) -> Result<usize, (usize, Event)> {
    let mut inside = BTreeMap::new();
    let mut entered = 0;
    for (index, event) in events.enumerate() {
        match event {
            Event::Entered(who, mode) => {
                let is_alone = inside.is_empty();
                let are_readers = inside.values().all(|mode| *mode == Mode::Shared);
                if !(is_alone || mode == Mode::Shared && are_readers) {
                    return Err((index, event));
                }
                inside.insert(who, mode);
                entered += 1;
            }
            Event::Left(who) | Event::Killed(who) => drop(inside.remove(&who)),
        }
    }
    Ok(entered)
}

/// Not a test by itself: what the processes of the tests below do.
#[test]
#[ignore = "run by the tests of this file"]
fn worker() {
    let Ok(arguments) = std::env::var("CI_BUILD_TEST_WORKER") else { return };
    let mut words = arguments.split(' ');
    let mut number = || words.next().unwrap().parse::<u64>().unwrap();
    let (id, operations, is_locked) = (number(), number(), number() == 1);
    let directory = std::env::current_dir().unwrap();
    let store = Store::open_in(&directory.join("state"), Identity::Named("history".into())).unwrap();
    let mut history = OpenOptions::new().append(true).open("history").unwrap();
    let mut random = Random(id.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let patience = Patience { wait: BOUND, polite: Duration::ZERO };
    for _ in 0..operations {
        let is_writer = random.below(5) == 0;
        let stay = Duration::from_micros(random.below(300));
        let mut visit = |word: &str| {
            history.write_all(format!("{word} {id}\n").as_bytes()).unwrap();
            std::thread::sleep(stay);
            history.write_all(format!("left {id}\n").as_bytes()).unwrap();
        };
        match (is_locked, is_writer) {
            (true, true) => drop((store.exclude("w", patience, |_| {}).unwrap(), visit("writes"))),
            (true, false) => drop((store.share("r", patience, |_| {}).unwrap(), visit("reads"))),
            (false, true) => visit("writes"),
            (false, false) => visit("reads"),
        }
    }
}

fn start(directory: &Path, id: u64, operations: usize, is_locked: bool) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "lock::history::worker", "--ignored"]).current_dir(directory);
    command.env("CI_BUILD_TEST_WORKER", format!("{id} {operations} {}", u8::from(is_locked)));
    command.stdout(Stdio::null()).spawn().unwrap()
}

/// Runs the workers, of which one is killed now and then, and gives the history.
fn history(processes: usize, operations: usize, is_locked: bool) -> (Vec<Event>, usize) {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let path = directory.join("history");
    let mut log = File::options().create(true).append(true).open(&path).unwrap();
    let share = operations.div_ceil(processes);
    let mut next = 0_u64;
    let mut start = || {
        next += 1;
        (next, start(directory, next, share, is_locked))
    };
    let mut workers: Vec<_> = (0..processes).map(|_| start()).collect();
    let (mut random, mut killed, mut seen) = (Random(7), 0, 0);
    let kills = processes * 2;
    // An operation is about 15 bytes of history.
    let interval = (operations * 15 / kills) as u64;
    let length = || std::fs::metadata(&path).unwrap().len();
    while !workers.is_empty() {
        let before = workers.len();
        workers.retain_mut(|(id, worker)| match worker.try_wait().unwrap() {
            Some(status) => {
                assert!(status.success(), "worker {id}: {status}");
                false
            }
            None => true,
        });
        // Each time the history has grown enough one dies, and another comes in its place.
        let grown = length();
        if grown > seen + interval && killed < kills && !workers.is_empty() {
            let index = usize::try_from(random.below(workers.len() as u64)).unwrap();
            let (id, mut worker) = workers.swap_remove(index);
            log.write_all(format!("killed {id}\n").as_bytes()).unwrap();
            worker.kill().unwrap();
            worker.wait().unwrap();
            workers.push(start());
            (killed, seen) = (killed + 1, grown);
        } else if before == workers.len() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    let text = std::fs::read_to_string(&path).unwrap();
    (text.lines().map(|line| parse(line).unwrap()).collect(), killed)
}

#[test]
fn a_writer_or_readers_and_never_both() {
    let (processes, operations) = size();
    let started = Instant::now();
    let (events, killed) = history(processes, operations, true);
    let entered = check(events.into_iter()).unwrap();
    println!("{entered} operations by {processes} processes, {killed} killed, in {:?}", started.elapsed());
    assert!(entered >= operations, "{entered}");
    assert!(killed > 0);
}

#[test]
fn without_the_lock_the_check_fails() {
    let (events, _) = history(8, 400, false);
    assert!(check(events.into_iter()).is_err());
}

#[test]
fn the_check_knows_what_must_not_be() {
    let check = |text: &str| check(text.lines().map(|line| parse(line).unwrap()));
    assert_eq!(check("reads 1\nreads 2\nleft 1\nleft 2\nwrites 3\nleft 3"), Ok(3));
    assert!(check("reads 1\nwrites 2").is_err());
    assert!(check("writes 1\nreads 2").is_err());
    assert!(check("writes 1\nwrites 2").is_err());
    assert_eq!(check("writes 1\nkilled 1\nwrites 2"), Ok(2));
}
