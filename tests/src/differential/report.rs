//! The page that results make: docs/differential.md.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};

use super::cell::{Cell, Verdict};
use super::invoke::Way;
use super::raw::Raw;
use super::tolerance::Table;
use crate::results::{self, escaped};

/// The page, in Markdown.
#[must_use]
pub fn page(raw: &Raw, table: &Table) -> String {
    let mut page = String::new();
    write_page(raw, table, &mut page).expect("a string takes all");
    page
}

fn write_page(raw: &Raw, table: &Table, page: &mut String) -> fmt::Result {
    head(raw, page)?;
    counts(raw, page)?;
    differences(raw, table, page)?;
    cases(raw, page)?;
    let not_run: BTreeSet<_> = raw
        .cells
        .iter()
        .filter_map(|cell| Some(format!("{} on {}: {}", cell.case, cell.engine, cell.not_run.as_ref()?)))
        .collect();
    results::list(page, "Not run", not_run)?;
    built_again(raw, page)?;
    results::list(page, "Not as promised", raw.complaints())
}

fn head(raw: &Raw, page: &mut String) -> fmt::Result {
    // Each case is in a cell for each policy.
    let ms: u64 = raw.cells.iter().filter(|cell| cell.policy == Way::Off).map(|cell| cell.wall_ms).sum();
    let seconds = ms / 1000;
    writeln!(
        page,
        "# Ours beside upstream\n\n    cargo xtask differential\n\n\
         builds every case of `testdata/differential` on every engine: by the engine's own frontend, by ours with `policy=off` and with\n\
         `policy=auto`, and by the engine's own frontend again; each time from an empty cache, and then once more. It compares how the\n\
         builds end, what they say, every step with its digest and whether it was cached, warnings, metadata with provenance, the\n\
         image's configuration, every file of every layer, attestations and other results. What differs between the two builds of the\n\
         engine's own frontend is unsteady: of that, only the presence is compared. A step's digest is that of the bytes that are solved,\n\
         with everything before it; it is steady unless files of the client are in it, which have a name of their own in every build. In one\n\
         build more, the definitions that both frontends solve are captured side by side, and compared byte by byte: operations, their\n\
         metadata, and where they stand in the source. Every difference that has a reason is a row of\n\
         `testdata/differential/differences.toml`; any other one is a failure, and so is a row that nothing needs any more. Ours is built\n\
         again, twice at most, where the machine was too busy to start its container in the ten seconds that the engine gives it: how often\n\
         is counted.\n\n\
         The raw results are in [lab/differential.json](lab/differential.json), from which this page is made\n\
         (`cargo xtask differential --report`).\n\n\
         {}; {}. The engines worked {} minutes on it.",
        results::origin(&raw.machine, &raw.engines),
        raw.client,
        seconds.div_ceil(60),
    )
}

fn counts(raw: &Raw, page: &mut String) -> fmt::Result {
    writeln!(
        page,
        "\n## How many\n\n| engine | policy | equal | explained | wrong | not run | facts equal | of which digests of steps | facts unsteady | definitions byte for byte | built again |"
    )?;
    writeln!(page, "|---|---|---|---|---|---|---|---|---|---|---|")?;
    for engine in raw.engines.keys() {
        for policy in [Way::Off, Way::Auto] {
            let of = |cell: &&Cell| cell.engine == *engine && cell.policy == policy;
            let cells: Vec<_> = raw.cells.iter().filter(of).collect();
            let count = |verdict| cells.iter().filter(|cell| cell.verdict() == verdict).count();
            writeln!(
                page,
                "| {engine} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                policy.name(),
                count(Verdict::Equal),
                count(Verdict::Explained),
                count(Verdict::Wrong),
                count(Verdict::NotRun),
                cells.iter().map(|cell| cell.equal).sum::<usize>(),
                cells.iter().map(|cell| cell.digests).sum::<usize>(),
                cells.iter().map(|cell| cell.unsteady).sum::<usize>(),
                cells.iter().map(|cell| cell.definitions).sum::<usize>(),
                cells.iter().filter_map(|cell| cell.rebuilt).sum::<u32>(),
            )?;
        }
    }
    Ok(())
}

fn differences(raw: &Raw, table: &Table, page: &mut String) -> fmt::Result {
    writeln!(
        page,
        "\n## Differences with a reason\n\n| difference | where | cells | reason |\n|---|---|---|---|"
    )?;
    for row in &table.difference {
        let cells = raw.cells.iter().filter(|cell| cell.explained.contains_key(&row.name)).count();
        let facts = row.facts.iter().map(|fact| format!("`{}`", escaped(fact))).collect::<Vec<_>>();
        let reason = row.reason.split_whitespace().collect::<Vec<_>>().join(" ");
        writeln!(page, "| {} | {} | {} | {} |", row.name, facts.join(", "), cells, escaped(&reason))?;
    }
    writeln!(page, "\n## Not compared\n")?;
    for row in &table.measured {
        let facts = row.facts.iter().map(|fact| format!("`{fact}`")).collect::<Vec<_>>();
        writeln!(page, "- {}: {}", facts.join(", "), row.reason)?;
    }
    Ok(())
}

fn cases(raw: &Raw, page: &mut String) -> fmt::Result {
    let mut topics = BTreeMap::<&str, Vec<&str>>::new();
    for cell in &raw.cells {
        let cases = topics.entry(&cell.topic).or_default();
        if !cases.contains(&&*cell.case) {
            cases.push(&cell.case);
        }
    }
    writeln!(
        page,
        "\n## Cases\n\nEach with `policy=off` / `policy=auto`: `=` equal, `e` explained, `!` wrong, `-` not run. In brackets: upstream fails there, and ours as it does."
    )?;
    for (topic, cases) in topics {
        let engines: Vec<_> = raw.engines.keys().collect();
        let names = engines.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" | ");
        writeln!(page, "\n### {topic}\n\n| case | {names} |\n|---|{}", "---|".repeat(engines.len()))?;
        for case in cases {
            let shown = engines.iter().map(|engine| {
                let of = |policy| {
                    raw.cells
                        .iter()
                        .find(|cell| cell.case == case && cell.engine == **engine && cell.policy == policy)
                };
                match (of(Way::Off), of(Way::Auto)) {
                    (Some(off), Some(auto)) => {
                        let marks = format!("{} / {}", mark(off), mark(auto));
                        if ["0", ""].contains(&&*off.exit) { marks } else { format!("({marks})") }
                    }
                    _ => String::new(),
                }
            });
            writeln!(page, "| {case} | {} |", shown.collect::<Vec<_>>().join(" | "))?;
        }
    }
    Ok(())
}

/// What the first builds of ours came to is thrown away there: it is to be seen where that happens often.
fn built_again(raw: &Raw, page: &mut String) -> fmt::Result {
    let again = raw.cells.iter().filter(|cell| cell.rebuilt.is_some_and(|rebuilt| rebuilt > 0));
    let lines = again.map(|cell| {
        let (case, engine, policy) = (&cell.case, &cell.engine, cell.policy.name());
        format!("{case} on {engine}, {policy}: {}", cell.rebuilt.unwrap_or_default())
    });
    let uncounted = raw.cells.iter().filter(|cell| cell.rebuilt.is_none()).count();
    let uncounted = (uncounted > 0).then(|| format!("not counted: {uncounted} cells of earlier runs"));
    results::list(page, "Built again", lines.chain(uncounted).collect::<Vec<_>>())
}

fn mark(cell: &Cell) -> &'static str {
    match cell.verdict() {
        Verdict::Equal => "=",
        Verdict::Explained => "e",
        Verdict::Wrong => "!",
        Verdict::NotRun => "-",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::differential::tolerance;
    use xtask::workspace;

    #[test]
    fn the_page_is_made_from_the_results() {
        let docs = workspace::root().join("docs");
        let raw: Raw = results::load(&docs.join("lab/differential.json")).unwrap();
        let written = fs::read_to_string(docs.join("differential.md")).unwrap();
        assert!(
            written == page(&raw, &tolerance::load().unwrap()),
            "docs/differential.md is out of date\n  help: `cargo xtask differential --report` makes it anew"
        );
    }
}
