//! The page that a soak makes: docs/soak.md.

use std::fmt::{self, Write};

use super::{Raw, Side};
use crate::results::{self, escaped};

/// The page, in Markdown.
pub(super) fn page(raw: &Raw) -> String {
    let mut page = String::new();
    write_page(raw, &mut page).expect("a string takes all");
    page
}

/// What must not be.
pub(super) fn complaints(raw: &Raw) -> Vec<String> {
    let mut complaints = Vec::new();
    for (name, side) in [("upstream", &raw.upstream), ("ours", &raw.ours)] {
        let failed = side.failed.iter().map(|said| format!("{name}: {said}"));
        complaints.extend(failed.chain(side.left.iter().map(|left| format!("{name}: left over: {left}"))));
    }
    // A tenth of what the engine has is what two equal runs differ by.
    let start = raw.upstream.samples.first().map_or(0, |sample| sample.memory_kib);
    let (upstream, ours) = (growth(&raw.upstream), growth(&raw.ours));
    if ours > upstream + i64::try_from(start / 10).unwrap_or(i64::MAX) {
        complaints.push(format!("the engine grew by {ours} KiB with us, and by {upstream} KiB without"));
    }
    complaints
}

/// By how much the engine's memory grew, in KiB.
fn growth(side: &Side) -> i64 {
    let at = |sample: Option<&super::Sample>| {
        sample.and_then(|sample| i64::try_from(sample.memory_kib).ok()).unwrap_or_default()
    };
    at(side.samples.last()) - at(side.samples.first())
}

fn write_page(raw: &Raw, page: &mut String) -> fmt::Result {
    let of = |field: &str| raw.machine[field].as_str().unwrap_or("unknown");
    writeln!(
        page,
        "# Many builds through one engine\n\n    cargo xtask soak\n\n\
         Two engines of one kind get the same builds in turns, one by its own frontend and one by ours with `policy=auto`: two steps\n\
         at once that share a cache, which run anew each time. A third of the builds is interrupted, as by Ctrl-C, after a random time of at\n\
         most 1.5 seconds. The engine's memory is the resident memory of all its processes. What is left over is what there is more of\n\
         at the end than at the beginning: processes, containers, and directories that BuildKit keeps for a step while it runs.\n\n\
         The raw results are in [lab/soak.json](lab/soak.json), from which this page is made (`cargo xtask soak --report`).\n\n\
         {}, on {} with {} cores, {}, kernel {}; {} ({}), seed {}.\n",
        of("date"),
        of("cpu"),
        raw.machine["cores"],
        of("os"),
        of("kernel"),
        raw.engine,
        raw.version,
        raw.seed
    )?;
    writeln!(
        page,
        "| | succeeded | cancelled | failed | memory at first | at the end | grown | left over |"
    )?;
    writeln!(page, "|---|---|---|---|---|---|---|---|")?;
    for (name, side) in [("the engine's own frontend", &raw.upstream), ("ours", &raw.ours)] {
        let memory = |sample: Option<&super::Sample>| sample.map_or(0, |sample| sample.memory_kib / 1024);
        let left = if side.left.is_empty() { "nothing".to_owned() } else { escaped(&side.left.join(", ")) };
        writeln!(
            page,
            "| {name} | {} | {} | {} | {} MiB | {} MiB | {} MiB | {left} |",
            side.well,
            side.cancelled,
            side.failed.len(),
            memory(side.samples.first()),
            memory(side.samples.last()),
            growth(side) / 1024,
        )?;
    }
    writeln!(
        page,
        "\n## On the way\n\n| builds | memory without us | with us | open files without | with | threads without | with |"
    )?;
    writeln!(page, "|---|---|---|---|---|---|---|")?;
    for (upstream, ours) in raw.upstream.samples.iter().zip(&raw.ours.samples) {
        writeln!(
            page,
            "| {} | {} MiB | {} MiB | {} | {} | {} | {} |",
            upstream.builds,
            upstream.memory_kib / 1024,
            ours.memory_kib / 1024,
            upstream.files,
            ours.files,
            upstream.threads,
            ours.threads
        )?;
    }
    results::list(page, "Not as promised", complaints(raw))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::Sample;
    use super::*;

    fn raw(upstream: [u64; 2], ours: [u64; 2], left: &[&str]) -> Raw {
        let side = |memory: [u64; 2], left: &[&str]| Side {
            samples: memory.map(|memory_kib| Sample { builds: 0, memory_kib, files: 1, threads: 1 }).into(),
            left: left.iter().map(|left| (*left).to_owned()).collect(),
            ..Side::default()
        };
        let (upstream, ours) = (side(upstream, &[]), side(ours, left));
        Raw { machine: Value::Null, engine: String::new(), version: String::new(), seed: 0, upstream, ours }
    }

    #[test]
    fn what_is_left_and_what_grows_is_complained_of() {
        assert_eq!(complaints(&raw([1000, 1500], [1000, 1590], &[])), [""; 0]);
        assert_eq!(
            complaints(&raw([1000, 1500], [1000, 1700], &["1 × container"])),
            ["ours: left over: 1 × container", "the engine grew by 700 KiB with us, and by 500 KiB without"]
        );
    }
}
