//! What was measured on.

use std::{fs, process::Command};

use anyhow::Result;
use serde_json::{Value, json};

use crate::command;

/// The machine, its kernel, the compiler and the day, for beside raw results.
///
/// # Errors
/// When the compiler does not tell its version.
pub fn description() -> Result<Value> {
    let of = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = of("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name\t: ")).unwrap_or("unknown");
    let memory = of("/proc/meminfo");
    let memory = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap_or("unknown").trim();
    let os = of("/etc/os-release");
    let os = os.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or("unknown");
    Ok(json!({
        "cpu": model,
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "memory": memory,
        "kernel": of("/proc/sys/kernel/osrelease").trim(),
        "os": os.trim_matches('"'),
        "rustc": command::output(Command::new("rustc").arg("--version"))?.trim(),
        "date": command::output(Command::new("date").args(["--utc", "+%Y-%m-%d"]))?.trim(),
    }))
}
