//! A million entries of every kind, swept twice, and held each time against the naive model that the tests of the command use: what
//! goes, what that frees, what the trail says, and what is left.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use xtask::workspace;

use super::Subject;
use super::naive::{Found, Limits, look, model, set_times};
use super::raw::{Model, Pass};
use crate::random::Random;

/// What was not used for so many hours is old. No file is of about that age, so that none grows old between the model and the sweep.
const OLD: u64 = 200;

/// In a directory with a longer path is no other: the model works by paths, which the system takes up to 4096 bytes of (PATH_MAX), and
/// keeps a million of them.
const LONGEST_PATH: usize = 500;

/// Makes a tree of so many entries in the target directory, sweeps it by age and then by size, and removes it. It takes half a gigabyte
/// of the disk for each million.
///
/// # Errors
/// When it cannot be made, or a sweep does not start.
pub fn run(program: &Path, entries: u64) -> Result<Model> {
    let begin = Instant::now();
    let place = tempfile::tempdir_in(workspace::target()?).context("cannot create a directory")?;
    let tree = place.path().join("tree");
    let mut seen = Model { entries, ..Model::default() };
    Builder::new(&tree, place.path())?.build(entries, &mut seen)?;
    let subject = Subject { program, state: place.path().join("state") };
    let mut before = look(&tree)?;
    ensure!(before.len() as u64 == entries, "{} entries were made", before.len());
    let files = before.values().filter(|found| !found.is_directory).count();
    let limits = [
        (format!("--older-than {OLD}h"), Limits { older_than: Some(OLD), ..Limits::default() }),
        (String::from("--max-size"), Limits { max_size: Some(size(&before) / 4), ..Limits::default() }),
    ];
    for (rule, limits) in limits {
        let trail = place.path().join("trail.jsonl");
        let (gone, freed) = model(&before, limits);
        let value = limits.max_size.map(|most| format!(" {most}B")).unwrap_or_default();
        let mut sweep = subject.command(&format!("--io normal {rule}{value} --trail {}", trail.display()));
        let status = sweep.arg(&tree).stdout(Stdio::null()).status().context("cannot sweep")?;
        let after = look(&tree)?;
        let told = told(&trail)?;
        let mut wrong = Vec::new();
        let mut expect = |is_so: bool, what: String| wrong.extend((!is_so).then_some(what));
        expect(status.success(), format!("it ended with {status}"));
        let gone_below: BTreeSet<&Path> =
            gone.iter().filter_map(|path| path.strip_prefix(&tree).ok()).collect();
        expect(
            gone_below.iter().copied().eq(told.paths.iter().map(PathBuf::as_path)),
            "the trail tells of others".into(),
        );
        expect(told.freed == freed, format!("{} bytes are told to be freed, not {freed}", told.freed));
        expect(told.failed == 0, format!("{} failed", told.failed));
        let left = before.keys().filter(|path| !gone.contains(*path));
        expect(left.eq(after.keys()), "other entries are left".into());
        let really = size_outside_of(&before, &after);
        expect(really == freed, format!("{really} bytes were freed, not {freed}"));
        let pass = Pass { rule, removed: told.paths.len() as u64, freed: told.freed, complaints: wrong };
        eprintln!("{pass:?} after {} s", begin.elapsed().as_secs());
        seen.passes.push(pass);
        std::fs::remove_file(&trail).context("there is no trail")?;
        before = after;
    }
    seen.files = files as u64;
    seen.seconds = begin.elapsed().as_secs();
    Ok(seen)
}

/// What all files take, one with several names once.
fn size(found: &BTreeMap<PathBuf, Found>) -> u64 {
    let files = found.values().filter(|found| !found.is_directory).map(|found| (found.inode, found.bytes));
    files.collect::<BTreeMap<_, _>>().values().sum()
}

/// What those take of which nothing is left: neither here nor, by the number of their names before, elsewhere.
fn size_outside_of(before: &BTreeMap<PathBuf, Found>, after: &BTreeMap<PathBuf, Found>) -> u64 {
    let mut names: BTreeMap<u64, (u64, &Found)> = BTreeMap::new();
    for found in before.values().filter(|found| !found.is_directory) {
        names.entry(found.inode).or_insert((0, found)).0 += 1;
    }
    for found in after.values() {
        names.remove(&found.inode);
    }
    names.values().filter(|(inside, found)| *inside == found.links).map(|(_, found)| found.bytes).sum()
}

/// What the trail of one sweep says.
#[derive(Default)]
struct Told {
    paths: BTreeSet<PathBuf>,
    freed: u64,
    failed: u64,
}

fn told(trail: &Path) -> Result<Told> {
    let mut told = Told::default();
    for line in BufReader::new(File::open(trail).context("there is no trail")?).lines() {
        let line: Value = serde_json::from_str(&line?).context("a line of the trail is none")?;
        match line["what"].as_str() {
            Some("removed" | "directory") => {
                let path = PathBuf::from(OsString::from_vec(bytes(&line["path"])));
                ensure!(told.paths.insert(path), "told twice: {line}");
                told.freed += line["freed"].as_u64().unwrap_or(0);
            }
            Some("failed") => told.failed += 1,
            Some("end") => ensure!(line["freed"] == told.freed, "the sum is another: {line}"),
            _ => {}
        }
    }
    Ok(told)
}

/// A path: a text, or its bytes.
fn bytes(path: &Value) -> Vec<u8> {
    match path {
        Value::String(text) => text.clone().into_bytes(),
        Value::Array(all) => {
            all.iter().filter_map(Value::as_u64).filter_map(|byte| u8::try_from(byte).ok()).collect()
        }
        _ => Vec::new(),
    }
}

/// Makes a tree by paths: the same one each time, but for the day.
struct Builder {
    random: Random,
    now: SystemTime,
    /// Not swept: here are other names of files of the tree.
    outside: PathBuf,
    /// With how deep they are.
    directories: Vec<(PathBuf, u64)>,
    files: Vec<PathBuf>,
}

impl Builder {
    fn new(tree: &Path, place: &Path) -> Result<Self> {
        let outside = place.join("outside");
        for directory in [tree, &outside] {
            std::fs::create_dir(directory).context("cannot create a directory")?;
        }
        let directories = vec![(tree.to_owned(), 0)];
        Ok(Self { random: Random::new(0), now: SystemTime::now(), outside, directories, files: Vec::new() })
    }

    fn build(mut self, entries: u64, seen: &mut Model) -> Result<()> {
        for number in 0..entries {
            self.one(number, seen).with_context(|| format!("cannot make entry {number}"))?;
        }
        // What is made in a directory changes it.
        for place in 1..self.directories.len() {
            let age = self.age(place as u64);
            set_times(&self.directories[place].0, self.now - age, self.now - age)?;
        }
        Ok(())
    }

    fn one(&mut self, number: u64, seen: &mut Model) -> std::io::Result<()> {
        let any = self.random.below(self.directories.len() as u64) as usize;
        let is_short = self.directories[any].0.as_os_str().len() < LONGEST_PATH;
        let (directory, depth) = &self.directories[if is_short { any } else { 0 }];
        let (depth, path) = (depth + 1, directory.join(name(&mut self.random, number)));
        let (read, changed) = (self.age(number), self.age(number));
        let times = |path: &Path, now: SystemTime| set_times(path, now - read, now - changed);
        match self.random.below(100) {
            0..4 => {
                // Half of them go on where the last one was.
                let last = self.directories.last().filter(|_| number.is_multiple_of(2));
                let inside = last.filter(|(path, _)| path.as_os_str().len() < LONGEST_PATH);
                let (path, depth) = match inside {
                    Some((inside, depth)) => (inside.join(name(&mut self.random, number)), depth + 1),
                    None => (path, depth),
                };
                std::fs::create_dir(&path)?;
                (seen.directories, seen.deepest) = (seen.directories + 1, seen.deepest.max(depth));
                self.directories.push((path, depth));
            }
            4..14 if !self.files.is_empty() => {
                let of = &self.files[self.random.below(self.files.len() as u64) as usize];
                std::fs::hard_link(of, &path)?;
                seen.hard += 1;
            }
            14..18 => {
                symlink(OsString::from_vec(name(&mut self.random, number).into_vec()), &path)?;
                times(&path, self.now)?;
                seen.links += 1;
            }
            kind => {
                let mut file = File::create_new(&path)?;
                match kind {
                    18..20 => {
                        file.seek(SeekFrom::Start(self.random.below(1 << 30)))?;
                        file.write_all(b"end")?;
                        seen.sparse += 1;
                    }
                    20..24 => file.write_all(&[1; 5000][..self.random.below(5000) as usize])?,
                    _ => {}
                }
                times(&path, self.now)?;
                if kind == 24 {
                    std::fs::hard_link(&path, self.outside.join(number.to_string()))?;
                    seen.outside += 1;
                }
                self.files.push(path);
            }
        }
        Ok(())
    }

    /// Old or not, and of no two entries the same, so that there is one order.
    fn age(&mut self, number: u64) -> Duration {
        let hours = self.random.below(OLD * 3 / 4) + if self.random.below(2) == 0 { 1 } else { OLD * 5 / 4 };
        Duration::from_secs(hours * 3600) + Duration::from_micros(number)
    }
}

/// One that no other has; some that somebody once forgot: line breaks, no UTF-8, quotes, a dash, dots, 247 bytes.
fn name(random: &mut Random, number: u64) -> OsString {
    let begin: &[u8] = match random.below(40) {
        0 => b"a\nb",
        1 => b"\xff\xfe",
        2 => b"-rf ",
        3 => b" ",
        4 => b"...",
        5 => b"\"\\'",
        6 => b"\x1b[31m",
        7 => "\u{fc}".as_bytes(),
        8 => &[b'x'; 240],
        _ => b"f",
    };
    let mut name = OsString::from_vec(begin.to_vec());
    name.push(number.to_string());
    name
}
