//! The page that is made of the results, and what in them is not as promised.

use std::fmt::{self, Write};

use super::raw::{Many, Raw, Row, Speed};
use crate::prunes::speed::median;
use crate::results::{list, origin};

/// A recovery of a thousand leftovers is to take less, in seconds.
const QUICK: f32 = 60.0;

/// A run is to take at most so many times as long as docker's.
const RATIO: f64 = 1.1;

/// What is not as promised.
#[must_use]
pub fn complaints(raw: &Raw) -> Vec<String> {
    let mut complaints = Vec::new();
    for row in &raw.rows {
        let of = format!("{}, {}, {}", row.engine, row.scenario, row.place);
        complaints.extend(row.left.iter().map(|line| format!("{of}: {line}")));
        if row.killed == 0 {
            complaints.push(format!("{of}: it never went wrong, so this shows nothing"));
        }
    }
    for many in &raw.many {
        complaints.extend(many.left.iter().map(|line| format!("{}, many: {line}", many.engine)));
        if many.containers >= 1000 && many.seconds >= QUICK {
            complaints
                .push(format!("{}: {} leftovers took {:.0} s", many.engine, many.containers, many.seconds));
        }
    }
    for speed in raw.speed.iter().filter(|speed| speed.ratio() > RATIO) {
        complaints.push(format!(
            "{}: a run takes {:.2} times as long as docker's",
            speed.engine,
            speed.ratio()
        ));
    }
    complaints
}

/// docs/lab-recovery.md.
#[must_use]
pub fn page(raw: &Raw) -> String {
    let mut page = String::new();
    // Writing to a string does not fail.
    let _ = write(raw, &mut page);
    page
}

fn write(raw: &Raw, page: &mut String) -> fmt::Result {
    page.push_str(
        "# The recovery laboratory\n\n`cargo xtask recovery` makes this page of docs/lab/recovery.json, where all results are. Its parts may \
         have been run at different times (`--part`, `--engine`, `--runs`).\n\n",
    );
    writeln!(page, "{}.", origin(&raw.machine, &raw.engines))?;
    page.push_str(
        "\n## What goes wrong\n\nAfter each time one `ci-build recover` runs, and then nothing of ours may be left: no container, volume, process, \
         record, file, lock, lease; a second recovery has nothing to do; and the container of a neighbour and that of a living owner stand \
         as they did (where the engine itself is killed, the neighbour's alone). *Request* is one to the engine's socket, of docker's or \
         buildx's too, that a proxy lets go wrong, the first, the second and so on until the command has no more.\n\n\
         | engine | what | where | times | went wrong | left something |\n|---|---|---|---|---|---|\n",
    );
    for Row { engine, scenario, place, times, killed, left, .. } in &raw.rows {
        writeln!(page, "| {engine} | {scenario} | {place} | {times} | {killed} | {} |", left.len())?;
    }
    page.push_str(
        "\n## Many at once\n\n`ci-build recover` of containers of a dead owner.\n\n\
         | engine | containers | of them running | of them with a record | seconds | left something |\n|---|---|---|---|---|---|\n",
    );
    for Many { engine, containers, running, recorded, seconds, left } in &raw.many {
        writeln!(
            page,
            "| {engine} | {containers} | {running} | {recorded} | {seconds:.1} | {} |",
            left.len()
        )?;
    }
    page.push_str(
        "\n## Speed\n\n`ci-build run IMAGE true` and `docker run --rm IMAGE true` in turns, from the start of the program to its end; medians.\n\n\
         | engine | runs | ci-build run | docker run --rm | ratio |\n|---|---|---|---|---|\n",
    );
    for speed in &raw.speed {
        let Speed { engine, ours_ms, docker_ms } = speed;
        let [ours, docker] = [ours_ms, docker_ms].map(|times| median(times));
        writeln!(
            page,
            "| {engine} | {} | {ours:.0} ms | {docker:.0} ms | {:.2} |",
            ours_ms.len(),
            speed.ratio()
        )?;
    }
    list(page, "Not as promised", complaints(raw))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(killed: u32, left: &[&str]) -> Row {
        Row {
            engine: "docker-28.5".into(),
            scenario: "run".into(),
            place: "run.asked".into(),
            times: 2,
            killed,
            left: left.iter().map(|line| (*line).to_owned()).collect(),
            seconds: 1.0,
        }
    }

    #[test]
    fn what_is_left_too_slow_or_never_wrong_is_told() {
        let many = |containers, seconds| Many {
            engine: "docker-28.5".into(),
            containers,
            running: 1,
            recorded: 1,
            seconds,
            left: vec![],
        };
        let speed =
            |ours: f64| Speed { engine: "docker-28.5".into(), ours_ms: vec![ours], docker_ms: vec![100.0] };
        let fine = Raw {
            rows: vec![row(2, &[])],
            many: vec![many(1000, 59.0)],
            speed: vec![speed(110.0)],
            ..Raw::default()
        };
        assert_eq!(complaints(&fine), Vec::<String>::new());
        let bad = Raw {
            rows: vec![row(2, &["left: container 1"]), row(0, &[])],
            many: vec![many(1000, 60.0)],
            speed: vec![speed(111.0)],
            ..Raw::default()
        };
        insta::assert_snapshot!(complaints(&bad).join("\n"), @r"
        docker-28.5, run, run.asked: left: container 1
        docker-28.5, run, run.asked: it never went wrong, so this shows nothing
        docker-28.5: 1000 leftovers took 60 s
        docker-28.5: a run takes 1.11 times as long as docker's
        ");
    }

    #[test]
    fn a_result_takes_the_place_of_the_earlier_one() {
        let mut raw = Raw::default();
        raw.put(row(1, &[]));
        raw.put(row(2, &[]));
        assert_eq!((raw.rows.len(), raw.rows[0].killed), (1, 2));
    }

    #[test]
    fn the_page_is_of_the_results() {
        let docs = xtask::workspace::root().join("docs");
        let raw: Raw = crate::results::load(&docs.join("lab/recovery.json")).unwrap();
        let page = std::fs::read_to_string(docs.join("lab-recovery.md")).unwrap();
        assert_eq!(page, super::page(&raw), "make it anew: cargo xtask recovery --report");
    }
}
