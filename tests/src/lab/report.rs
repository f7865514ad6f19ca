//! The page that a laboratory's results make: docs/lab.md.

use std::collections::BTreeSet;
use std::fmt::{self, Write};

use super::raw::{Raw, median};
use super::situation::SITUATIONS;
use super::strategy::STRATEGIES;
use super::{keys, matrix, verdict, walls};
use crate::results::{self, escaped};

/// The page, in Markdown.
#[must_use]
pub fn page(raw: &Raw) -> String {
    let mut page = String::new();
    write_page(raw, &mut page).expect("a string takes all");
    page
}

fn write_page(raw: &Raw, page: &mut String) -> fmt::Result {
    head(raw, page)?;
    cells(raw, page)?;
    prices(raw, page)?;
    table(
        page,
        "What stays in the cache",
        "Of `testdata/lab/keys.Dockerfile`. A fresh engine has its own data; it gets the base image, our image and the cache alone. Of upstream the worst of three tries.",
        "question",
        raw.keys.iter().map(|key| (&*key.question, &*key.strategy, &*key.engine, keys::shown(key))),
    )?;
    table(
        page,
        "Input that nobody should give",
        "An error or a build, and never a hang.",
        "input",
        raw.odd.iter().map(|odd| {
            let error = odd.run.error.as_deref().unwrap_or_default();
            let shown =
                format!("{}, {}", format!("{:?}", odd.run.ended).to_lowercase(), seconds(odd.run.wall_ms));
            let shown = if error.is_empty() { shown } else { format!("{shown}: {error}") };
            (&*odd.input, &*odd.strategy, &*odd.engine, shown)
        }),
    )?;
    results::list(page, "Not run", verdict::not_run(raw))?;
    results::list(page, "Not as promised", verdict::complaints(raw))
}

fn head(raw: &Raw, page: &mut String) -> fmt::Result {
    writeln!(
        page,
        "# The hazard laboratory\n\n    cargo xtask lab\n\n\
         builds Dockerfiles that break, by every strategy, on every engine, and writes every run of it to [lab/matrix.json](lab/matrix.json);\n\
         this page is made from that file (`cargo xtask lab --report`). Upstream, which is the engine's own frontend, builds beside the\n\
         strategies, in turn with them, each build from an empty cache.\n\n\
         {}. It took {} minutes.\n",
        results::origin(&raw.machine, &raw.engines),
        raw.seconds.div_ceil(60),
    )?;
    writeln!(
        page,
        "A run is broken if the build failed, or hung (was still running at its time limit), if a step found a cache empty that had been\n\
         filled, or if the engine kept two records of one cache afterwards (forked). Walls are medians."
    )
}

fn cells(raw: &Raw, page: &mut String) -> fmt::Result {
    for situation in &SITUATIONS {
        let of_situation = raw.cells.iter().filter(|cell| cell.situation == situation.name);
        let rows: Vec<_> =
            of_situation.map(|cell| ("", &*cell.strategy, &*cell.engine, matrix::shown(cell))).collect();
        if rows.is_empty() {
            continue;
        }
        let path = situation.dockerfile();
        let path = path.strip_prefix(xtask::workspace::root()).unwrap_or(&path);
        let what = format!("{} (`{}`).", capitalised(situation.what), path.display());
        table(page, situation.name, &what, "", rows.into_iter())?;
        for (strategy, reason) in situation.beyond {
            writeln!(page, "\n`{strategy}` cannot help here: {reason}.")?;
        }
    }
    Ok(())
}

fn prices(raw: &Raw, page: &mut String) -> fmt::Result {
    let rows = raw.walls.iter().filter(|wall| wall.not_run.is_none()).map(|wall| {
        let median = median(wall.walls_ms.iter().copied()).map_or("none".to_owned(), seconds);
        (
            format!("{}, {}", wall.file, wall.change),
            &wall.strategy,
            &wall.engine,
            format!("{median} of {}", wall.walls_ms.len()),
        )
    });
    let rows: Vec<_> = rows.collect();
    table(
        page,
        "What safety costs",
        "Builds in which nothing fails, so that all strategies compare: medians. `namespace` gives up sharing, and is not compared with.",
        "build",
        rows.iter().map(|(what, strategy, engine, shown)| (&**what, &***strategy, &***engine, shown.clone())),
    )?;
    let ratios = walls::ratios(raw);
    if !ratios.is_empty() {
        writeln!(page, "\n| engine | build | `auto` takes | at most |\n|---|---|---|---|")?;
    }
    for walls::Ratio { auto, beside, ratio, limit } in ratios {
        writeln!(
            page,
            "| {} | {}, {} | {ratio:.2} × {beside} | {limit:.2} |",
            auto.engine, auto.file, auto.change
        )?;
    }
    Ok(())
}

/// One table: a column for each engine, a row for each thing and strategy.
fn table<'r>(
    page: &mut String,
    title: &str,
    what: &str,
    first: &str,
    cells: impl Iterator<Item = (&'r str, &'r str, &'r str, String)>,
) -> fmt::Result {
    let cells: Vec<_> = cells.collect();
    if cells.is_empty() {
        return Ok(());
    }
    let engines: BTreeSet<_> = cells.iter().map(|(_, _, engine, _)| *engine).collect();
    writeln!(page, "\n## {title}\n\n{what}\n")?;
    let lead = |what: &str, strategy: &str| {
        if first.is_empty() { strategy.to_owned() } else { format!("{what} | {strategy}") }
    };
    let names: Vec<_> = engines.iter().copied().collect();
    writeln!(page, "| {} | {} |", lead(first, "strategy"), names.join(" | "))?;
    writeln!(page, "|{}", "---|".repeat(names.len() + 1 + usize::from(!first.is_empty())))?;
    let mut things = Vec::new();
    for (what, ..) in &cells {
        if !things.contains(what) {
            things.push(*what);
        }
    }
    for what in things {
        for strategy in &STRATEGIES {
            let of_row: Vec<_> =
                cells.iter().filter(|cell| cell.0 == what && cell.1 == strategy.name).collect();
            if of_row.is_empty() {
                continue;
            }
            let shown = engines.iter().map(|engine| {
                let cell = of_row.iter().find(|cell| cell.2 == *engine);
                cell.map_or(String::new(), |cell| escaped(&cell.3))
            });
            writeln!(page, "| {} | {} |", lead(what, strategy.name), shown.collect::<Vec<_>>().join(" | "))?;
        }
    }
    Ok(())
}

fn seconds(ms: u64) -> String {
    format!("{:.2} s", ms as f64 / 1000.0)
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use xtask::workspace;

    #[test]
    fn the_page_is_made_from_the_results() {
        let docs = workspace::root().join("docs");
        let raw: Raw = results::load(&docs.join("lab/matrix.json")).unwrap();
        let written = fs::read_to_string(docs.join("lab.md")).unwrap();
        assert!(
            written == page(&raw),
            "docs/lab.md is out of date\n  help: `cargo xtask lab --report` makes it anew"
        );
    }
}
