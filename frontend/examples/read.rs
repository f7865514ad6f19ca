//! How fast Dockerfiles are read: `read DIRECTORY [SECONDS]` reads every file in a directory, over and over, once at the
//! least, and tells the speed of the fastest pass: others may use the machine, and make no pass faster.
//!
//! parse-dockerfile, which checks less, reads those that it can for comparison, in turns.

use std::fs;
use std::hint::black_box;
use std::time::{Duration, Instant};

use ci_build_frontend::dockerfile::parse;

#[allow(clippy::print_stdout)]
fn main() {
    let mut args = std::env::args().skip(1);
    let directory = args.next().expect("a directory of Dockerfiles");
    let seconds = args.next().map_or(3, |seconds| seconds.parse().expect("seconds"));
    let files: Vec<Vec<u8>> = fs::read_dir(directory)
        .expect("the directory can be read")
        .filter_map(|entry| fs::read(entry.ok()?.path()).ok())
        .collect();
    let start = Instant::now();
    let (mut ours, mut theirs) = (Duration::MAX, Duration::MAX);
    while ours == Duration::MAX || start.elapsed() < Duration::from_secs(seconds) {
        ours = ours.min(pass(&files, |file| drop(black_box(parse(file)))));
        theirs = theirs.min(pass(&files, |file| {
            if let Ok(text) = std::str::from_utf8(file) {
                drop(black_box(parse_dockerfile::parse(text)));
            }
        }));
    }
    let bytes: usize = files.iter().map(Vec::len).sum();
    let speed = |pass: Duration| bytes as f64 / pass.as_secs_f64() / 1e6;
    println!(
        "{} files of {bytes} bytes, ci-build {:.0} MB/s, parse-dockerfile {:.0} MB/s",
        files.len(),
        speed(ours),
        speed(theirs)
    );
}

fn pass(files: &[Vec<u8>], read: impl Fn(&[u8])) -> Duration {
    let start = Instant::now();
    files.iter().for_each(|file| read(file));
    start.elapsed()
}
