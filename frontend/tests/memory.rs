//! What reading costs in memory, at the worst: files of the smallest lines that there are.
//!
//! One test in a process of its own, since the kernel counts for all of it.

#![cfg(target_os = "linux")]

use std::fs;

use ci_build_frontend::dockerfile::parse;

/// In bytes.
const SOURCE: usize = 4 << 20;

/// Lines, and how often the size of the text may come on top of the text. What takes small boxes comes last: those stay
/// with the process when they are freed.
const LINES: [(&str, usize); 6] =
    [("#\n", 1), ("#\n\n", 1), ("# a\n", 1), ("RUN a\n", 9), ("USER a\n", 9), ("ENV a=b\n", 16)];

/// The most memory that this process has held since it was asked to count anew, in bytes.
fn peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("it is Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("proc_pid_status(5)");
    let kibibytes: usize = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kibibytes << 10
}

#[test]
fn the_smallest_lines_cost_a_few_times_their_bytes() {
    for (line, times) in LINES {
        let source = format!("FROM a\n{}", line.repeat(SOURCE / line.len()));
        fs::write("/proc/self/clear_refs", "5").expect("it counts anew");
        let before = peak();
        let dockerfile = parse(source.as_bytes()).expect("it is right");
        let cost = peak() - before;
        assert!(!dockerfile.instructions.is_empty());
        eprintln!("{line:?}: {:.1} times the text", cost as f64 / source.len() as f64);
        assert!(cost < times * source.len(), "{line:?}: {cost} bytes for {}", source.len());
    }
}
