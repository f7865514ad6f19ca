//! The table of what the frontend adds, in docs/benchmarks.md.

use std::fmt::Write;

use anyhow::{Context, Result};

use super::overhead::{Builds, Cache, Overhead};

const BEGIN: &str = "<!-- made by `cargo xtask bench` -->\n";
const END: &str = "<!-- end -->\n";

/// The table, in Markdown.
pub(super) fn table(overhead: &Overhead) -> String {
    let mut text = String::new();
    let of = |field: &str| overhead.machine[field].as_str().unwrap_or("unknown");
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "Docker {} on {}, {} cores, {}; the binary has {:.2} MB.\n",
        overhead.engine,
        of("cpu"),
        overhead.machine["cores"],
        of("date"),
        overhead.binary_bytes as f64 / 1e6
    );
    let _ = writeln!(
        text,
        "| steps | cache | rounds | the engine's own frontend | ours | added | of that by any image | by ours alone | bar |"
    );
    let _ = writeln!(text, "|---|---|---|---|---|---|---|---|---|");
    for builds in &overhead.builds {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {:.1} ms | {:.1} ms | {:.1} ms | {:.1} ms | {:.1} ms | {} |",
            builds.steps,
            name(builds.cache),
            builds.rounds.len(),
            builds.median_builtin(),
            builds.median_ours(),
            builds.median_added(),
            builds.median_container(),
            builds.median_own(),
            builds.bar_ms.map_or_else(|| "-".to_owned(), |bar| format!("{bar:.0} ms"))
        );
    }
    text
}

/// What is slower than was promised.
pub(super) fn over_the_bar(overhead: &Overhead) -> Vec<String> {
    let is_over = |builds: &&Builds| builds.bar_ms.is_some_and(|bar| builds.median_added() > bar);
    let line = |builds: &Builds| {
        let (steps, cache) = (builds.steps, name(builds.cache));
        format!("{steps} steps, {cache}: {:.1} ms", builds.median_added())
    };
    overhead.builds.iter().filter(is_over).map(line).collect()
}

fn name(cache: Cache) -> &'static str {
    match cache {
        Cache::Cached => "all cached",
        Cache::Cold => "cold",
    }
}

/// The page with this table in place of the one that it has.
pub(super) fn renewed(page: &str, overhead: &Overhead) -> Result<String> {
    let (before, rest) = page.split_once(BEGIN).context("docs/benchmarks.md has no place for the table")?;
    let (_, after) = rest.split_once(END).context("docs/benchmarks.md has no end of the table")?;
    Ok([before, BEGIN, &table(overhead), END, after].concat())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;
    use xtask::workspace;

    use super::*;
    use crate::commands::bench::overhead::Round;

    fn overhead() -> Overhead {
        let round = |&(builtin, ours): &(f64, f64)| Round { builtin, forward: ours - 20.0, ours };
        let builds = |steps, cache, rounds: &[(f64, f64)]| Builds {
            steps,
            cache,
            bar_ms: (steps != 50).then_some(80.0),
            rounds: rounds.iter().map(round).collect(),
        };
        Overhead {
            machine: json!({"cpu": "a processor", "cores": 2, "date": "2026-01-01"}),
            engine: "28".to_owned(),
            binary_bytes: 3_456_789,
            image_bytes: 0,
            builds: vec![
                builds(2, Cache::Cold, &[(100.0, 170.0), (90.0, 190.0), (110.0, 165.0)]),
                builds(50, Cache::Cached, &[(100.0, 300.0)]),
                builds(500, Cache::Cached, &[(100.0, 300.0)]),
            ],
        }
    }

    #[test]
    fn medians_are_of_rounds() {
        insta::assert_snapshot!(table(&overhead()), @r"
        Docker 28 on a processor, 2 cores, 2026-01-01; the binary has 3.46 MB.

        | steps | cache | rounds | the engine's own frontend | ours | added | of that by any image | by ours alone | bar |
        |---|---|---|---|---|---|---|---|---|
        | 2 | cold | 3 | 100.0 ms | 170.0 ms | 70.0 ms | 50.0 ms | 20.0 ms | 80 ms |
        | 50 | all cached | 1 | 100.0 ms | 300.0 ms | 200.0 ms | 180.0 ms | 20.0 ms | - |
        | 500 | all cached | 1 | 100.0 ms | 300.0 ms | 200.0 ms | 180.0 ms | 20.0 ms | 80 ms |
        ");
        assert_eq!(over_the_bar(&overhead()), ["500 steps, all cached: 200.0 ms"]);
    }

    #[test]
    fn only_the_table_is_renewed() {
        let page = format!("before\n{BEGIN}stale\n{END}after\n");
        let renewed = renewed(&page, &overhead()).unwrap();
        assert!(renewed.starts_with(&format!("before\n{BEGIN}Docker 28")), "{renewed}");
        assert!(renewed.ends_with(&format!("{END}after\n")) && !renewed.contains("stale"), "{renewed}");
        assert!(super::renewed("nothing", &overhead()).is_err());
    }

    #[test]
    fn the_page_is_made_from_the_results() {
        let page = fs::read_to_string(workspace::root().join("docs/benchmarks.md")).unwrap();
        assert!(
            page == renewed(&page, &super::super::committed().unwrap()).unwrap(),
            "docs/benchmarks.md is out of date\n  help: `cargo xtask bench --report` makes its table anew"
        );
    }
}
