//! The page that a storm's results make: docs/storm.md.

use std::fmt::{self, Write};

use super::raw::{How, Kills, Raw};
use crate::results::{self, escaped};

/// The page, in Markdown.
#[must_use]
pub fn page(raw: &Raw) -> String {
    let mut page = String::new();
    write_page(raw, &mut page).expect("a string takes all");
    page
}

fn write_page(raw: &Raw, page: &mut String) -> fmt::Result {
    writeln!(
        page,
        "# Storm\n\n    cargo xtask storm\n\n\
         runs jobs beside a pruner and ends builds at random times, and writes what it saw to [lab/storm.json](lab/storm.json); this\n\
         page is made from that file (`cargo xtask storm --report`).\n\n\
         {}. It took {} minutes.\n",
        results::origin(&raw.machine, &raw.engines),
        raw.seconds.div_ceil(60),
    )?;
    storms(raw, page)?;
    kills(raw, page)?;
    results::list(page, "Not as promised", raw.complaints())
}

fn storms(raw: &Raw, page: &mut String) -> fmt::Result {
    writeln!(
        page,
        "## Jobs beside a pruner\n\n\
         A job builds an image of two stages that share a cache, with something new in each, and runs a container of it. So many loops\n\
         of jobs run at once, and `docker system prune -af` every few seconds. With ci-build a job is `ci-build lock --shared -- sh`\n\
         with `ci-build build` and `docker run` in it, and the prune `ci-build lock --exclusive`; without it, they are themselves. A\n\
         container that runs keeps the base image. An engine that died was started anew.\n\n\
         | engine | | loops | jobs | builds failed | runs failed | prunes | prunes failed | longest prune with its wait | engine died | seconds |\n\
         |---|---|---|---|---|---|---|---|---|---|---|"
    )?;
    for storm in &raw.storms {
        writeln!(
            page,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {:.1} s | {} | {} |",
            storm.engine,
            storm.side.name(),
            storm.loops,
            storm.jobs,
            storm.failed_builds,
            storm.failed_runs,
            storm.prunes,
            storm.failed_prunes,
            seconds(storm.longest_prune_ms),
            storm.deaths,
            storm.seconds,
        )?;
    }
    writeln!(page, "\nWhat failures said, and how often:\n")?;
    for storm in &raw.storms {
        for (error, times) in &storm.errors {
            writeln!(page, "- {}, {}, {times}: {}", storm.engine, storm.side.name(), escaped(error))?;
        }
    }
    Ok(())
}

fn kills(raw: &Raw, page: &mut String) -> fmt::Result {
    writeln!(
        page,
        "\n## Builds that are ended\n\n\
         Each build is ended at a random time within its first five seconds, four at a time. It is gone when neither it nor anything\n\
         that it has started, in the engine neither, is running any more. After all of them and one more build nothing may be left: no\n\
         lock, process, container, file, lease.\n\n\
         | engine | by | builds | over before | gone within, median | gone within, at most | never gone |\n\
         |---|---|---|---|---|---|---|"
    )?;
    for kills in &raw.kills {
        for how in How::ALL {
            row(kills, how, page)?;
        }
    }
    Ok(())
}

fn row(kills: &Kills, how: How, page: &mut String) -> fmt::Result {
    let runs: Vec<_> = kills.runs.iter().filter(|kill| kill.how == how).collect();
    let mut gone: Vec<_> = runs.iter().filter_map(|kill| kill.gone_ms).collect();
    gone.sort_unstable();
    let shown = |ms: Option<&u64>| ms.map_or_else(|| "–".to_owned(), |ms| format!("{:.1} s", seconds(*ms)));
    writeln!(
        page,
        "| {} | {} | {} | {} | {} | {} | {} |",
        kills.engine,
        how.name(),
        runs.len(),
        runs.iter().filter(|kill| kill.was_over).count(),
        shown(gone.get(gone.len() / 2)),
        shown(gone.last()),
        runs.iter().filter(|kill| kill.gone_ms.is_none()).count(),
    )
}

fn seconds(ms: u64) -> f64 {
    std::time::Duration::from_millis(ms).as_secs_f64()
}
