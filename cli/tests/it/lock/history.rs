//! Many processes enter and leave, some are killed at any moment, and the history that they write is checked:
//! one writer or readers, never both.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use ci_build::store::{Identity, Mode as Locked, Patience, Store};
use rustix::fs::Mode;

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

/// One line of the history, which is a pipe. Lines go into it whole, so their order is the order of what happened: entered is
/// said after the lock is had, left before it is let go, killed before the signal is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Entered(u64, Locked),
    Left(u64),
    Killed(u64),
}

fn parse(line: &str) -> Option<Event> {
    let (what, who) = line.split_once(' ')?;
    let who = who.parse().ok()?;
    Some(match what {
        "reads" => Event::Entered(who, Locked::Shared),
        "writes" => Event::Entered(who, Locked::Exclusive),
        "left" => Event::Left(who),
        "killed" => Event::Killed(who),
        _ => return None,
    })
}

/// How often somebody entered, or the first event that must not be. Whoever was killed inside counts as outside
/// from the moment of the signal on, also when it enters between what is said and the signal.
fn check(events: impl Iterator<Item = Event>) -> Result<usize, (usize, Event)> {
    let (mut inside, mut dead) = (BTreeMap::new(), BTreeSet::new());
    let mut entered = 0;
    for (index, event) in events.enumerate() {
        match event {
            Event::Entered(who, mode) => {
                let is_alone = inside.is_empty();
                let are_readers = inside.values().all(|mode| *mode == Locked::Shared);
                if !(is_alone || mode == Locked::Shared && are_readers) {
                    return Err((index, event));
                }
                if !dead.contains(&who) {
                    inside.insert(who, mode);
                }
                entered += 1;
            }
            Event::Left(who) => drop(inside.remove(&who)),
            Event::Killed(who) => {
                inside.remove(&who);
                dead.insert(who);
            }
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
        let stay = random.below(30);
        let mut visit = |word: &str| {
            history.write_all(format!("{word} {id}\n").as_bytes()).unwrap();
            // Others run meanwhile.
            (0..stay).for_each(|_| std::thread::yield_now());
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
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
    // Readable too, so that it opens before anybody reads.
    let mut log = File::options().read(true).write(true).open(&path).unwrap();
    let lines = read(&path);
    let share = operations.div_ceil(processes);
    let mut next = 0_u64;
    let mut start = || {
        next += 1;
        (next, start(directory, next, share, is_locked))
    };
    let mut workers: Vec<_> = (0..processes).map(|_| start()).collect();
    let (mut random, mut killed, mut events) = (Random(7), 0, Vec::new());
    let kills = processes * 2;
    // Each time so much has happened one dies, and another comes in its place. Two events are an operation.
    let interval = operations * 2 / kills;
    while killed < kills {
        // Some have ended already, and then there may be fewer events than were to come.
        let Ok(event) = lines.recv_timeout(BOUND) else { break };
        events.push(event);
        if events.len() % interval == 0 {
            let index = usize::try_from(random.below(workers.len() as u64)).unwrap();
            let (id, mut worker) = workers.swap_remove(index);
            log.write_all(format!("killed {id}\n").as_bytes()).unwrap();
            worker.kill().unwrap();
            worker.wait().unwrap();
            workers.push(start());
            killed += 1;
        }
    }
    for (id, mut worker) in workers {
        let status = worker.wait().unwrap();
        assert!(status.success(), "worker {id}: {status}");
    }
    // The history ends when nobody has it open any more. Not before all have ended: who opens it when nobody reads waits.
    drop(log);
    events.extend(lines);
    (events, killed)
}

/// The lines of the history as they come, read by a thread of its own, so that nobody waits for room in the pipe.
fn read(path: &Path) -> Receiver<Event> {
    let (sender, lines) = channel();
    let pipe = BufReader::new(File::open(path).unwrap());
    std::thread::spawn(move || {
        for line in pipe.lines() {
            let _ = sender.send(parse(&line.unwrap()).unwrap());
        }
    });
    lines
}

#[test]
fn a_writer_or_readers_and_never_both() {
    let (processes, operations) = size();
    let started = Instant::now();
    let (events, killed) = history(processes, operations, true);
    let entered = check(events.into_iter()).unwrap();
    println!("{entered} operations by {processes} processes, {killed} killed, in {:?}", started.elapsed());
    assert!(entered >= operations, "{entered}");
    if let Some(path) = std::env::var_os("CI_BUILD_HISTORY") {
        let summary = serde_json::json!({
            "what": "processes that enter and leave, some killed at any moment; nobody may be inside beside a writer",
            "processes": processes,
            "operations": entered,
            "killed": killed,
            "violations": 0,
            "longest_wait_allowed_s": BOUND.as_secs(),
            "seconds": (started.elapsed().as_secs_f64() * 10.0).round() / 10.0,
        });
        std::fs::write(path, summary.to_string()).unwrap();
    }
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
    assert_eq!(check("killed 1\nwrites 1\nwrites 2"), Ok(2));
    assert!(check("writes 2\nkilled 1\nwrites 1").is_err());
}
