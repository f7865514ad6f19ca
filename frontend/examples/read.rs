//! How fast Dockerfiles are read: `read DIRECTORY [SECONDS]` reads every file in a directory, over and over.
//!
//! parse-dockerfile, which checks less, reads those that it can for comparison.

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
    let limit = Duration::from_secs(seconds);
    let ours = throughput(&files, limit, |file| drop(black_box(parse(file))));
    let theirs = throughput(&files, limit, |file| {
        if let Ok(text) = std::str::from_utf8(file) {
            drop(black_box(parse_dockerfile::parse(text)));
        }
    });
    println!("{} files, ci-build {ours:.0} MB/s, parse-dockerfile {theirs:.0} MB/s", files.len());
}

/// In megabytes a second.
fn throughput(files: &[Vec<u8>], limit: Duration, read: impl Fn(&[u8])) -> f64 {
    let start = Instant::now();
    let mut bytes = 0;
    while start.elapsed() < limit {
        for file in files {
            read(file);
            bytes += file.len();
        }
    }
    bytes as f64 / start.elapsed().as_secs_f64() / 1e6
}
