//! The page that is made of the results, and what in them is not as promised.

use std::fmt::{self, Write};

use super::missing::missing;
use super::raw::{Left, Many, Raw, Row, Speed, Wedge};
use crate::prunes::speed::median;
use crate::results::{list, origin};

/// A recovery of a thousand leftovers is to take less, in seconds.
const QUICK: f32 = 60.0;

/// A run is to take at most so many times as long as docker's or ctr's.
const RATIO: f64 = 1.1;

/// A cancelled run writes so much, in bytes.
pub(super) const WRITTEN: u64 = 1 << 20;

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
            "{}: a run takes {:.2} times as long as {}",
            speed.engine,
            speed.ratio(),
            speed.theirs
        ));
    }
    for Wedge { engine, cancelled, ctr, ours, recovered, .. } in &raw.wedge {
        if ctr.containers < *cancelled as usize {
            complaints.push(format!(
                "{engine}: the control leaves {} of {cancelled}, so this shows nothing",
                ctr.containers
            ));
        }
        for (when, left) in [("", ours), (" after a recovery", recovered)] {
            if !left.is_nothing(WRITTEN) {
                complaints.push(format!("{engine}: cancelled runs leave something{when}: {left:?}"));
            }
        }
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
         as they did (where docker's engine itself is killed, the neighbour's alone). *Request* is one to the engine's socket, of docker's or \
         buildx's too, that a proxy lets go wrong, the first, the second and so on until the command has no more. On containerd \
         nothing of ours is no container, task, snapshot, lease, half-written blob, process or control group either.\n\n\
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
        "\n## Speed\n\n`ci-build run IMAGE true`, on containerd with `--containerd`, in turns with the engine's own client, from the start of \
         the program to its end; medians.\n\n\
         | engine | runs | ci-build run | beside | that takes | ratio |\n|---|---|---|---|---|---|\n",
    );
    for speed in &raw.speed {
        let Speed { engine, ours_ms, theirs_ms, theirs: beside } = speed;
        let [ours, theirs] = [ours_ms, theirs_ms].map(|times| median(times));
        writeln!(
            page,
            "| {engine} | {} | {ours:.0} ms | `{beside}` | {theirs:.0} ms | {:.2} |",
            ours_ms.len(),
            speed.ratio()
        )?;
    }
    page.push_str(
        "\n## Cancelled runs\n\nRuns on one containerd, each of which writes 1 MiB, and whose client is killed when its container is up: what a bare \
         `ctr run --rm` leaves; what `ci-build run --containerd` leaves when one more run has ended by itself, since each looks first \
         for what the others left; and what one more that was killed leaves after `ci-build recover`.\n\n\
         | engine | cancelled | by | tasks | containers | snapshots | leases | on the disk |\n|---|---|---|---|---|---|---|---|\n",
    );
    for Wedge { engine, cancelled, ctr, ours, recovered, .. } in &raw.wedge {
        let by = [("`ctr run --rm`", ctr), ("`ci-build run`", ours), ("and `ci-build recover`", recovered)];
        for (by, Left { tasks, containers, snapshots, leases, bytes }) in by {
            let mib = bytes / (1 << 20);
            writeln!(
                page,
                "| {engine} | {cancelled} | {by} | {tasks} | {containers} | {snapshots} | {leases} | {mib} MiB |"
            )?;
        }
    }
    list(page, "Not run", missing(raw))?;
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
        let speed = |ours: f64| Speed {
            engine: "docker-28.5".into(),
            ours_ms: vec![ours],
            theirs_ms: vec![100.0],
            theirs: "docker run --rm".into(),
        };
        let left = |containers| Left { containers, ..Left::default() };
        let wedge = |ctr, ours, bytes| Wedge {
            engine: "containerd-2.1".into(),
            cancelled: 3,
            ctr: left(ctr),
            ours: left(ours),
            recovered: Left { bytes, ..left(0) },
            recovery_seconds: 1.0,
        };
        let fine = Raw {
            rows: vec![row(2, &[])],
            many: vec![many(1000, 59.0)],
            speed: vec![speed(110.0)],
            wedge: vec![wedge(3, 0, WRITTEN - 1)],
            ..Raw::default()
        };
        assert_eq!(complaints(&fine), Vec::<String>::new());
        let bad = Raw {
            rows: vec![row(2, &["left: container 1"]), row(0, &[])],
            many: vec![many(1000, 60.0)],
            speed: vec![speed(111.0)],
            wedge: vec![wedge(2, 1, WRITTEN)],
            ..Raw::default()
        };
        insta::assert_snapshot!(complaints(&bad).join("\n"), @r"
        docker-28.5, run, run.asked: left: container 1
        docker-28.5, run, run.asked: it never went wrong, so this shows nothing
        docker-28.5: 1000 leftovers took 60 s
        docker-28.5: a run takes 1.11 times as long as docker run --rm
        containerd-2.1: the control leaves 2 of 3, so this shows nothing
        containerd-2.1: cancelled runs leave something: Left { tasks: 0, containers: 1, snapshots: 0, leases: 0, bytes: 0 }
        containerd-2.1: cancelled runs leave something after a recovery: Left { tasks: 0, containers: 0, snapshots: 0, leases: 0, bytes: 1048576 }
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
