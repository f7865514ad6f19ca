//! The page that is made of the results, and what in them is not as promised.

use std::fmt::{self, Write};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use xtask::engines;

use super::job::{KINDS, Kind};
use super::load::PRUNERS;
use super::raw::{Kills, Load, Raw};
use super::speed::{Speed, median};
use crate::results::{self, escaped, list, origin};

/// What was measured, if anything was: it needs a machine to itself, and is a part of its own.
///
/// # Errors
/// When it cannot be understood.
pub fn speed(path: &Path) -> Result<Speed> {
    if path.exists() { results::load(path) } else { Ok(Speed::default()) }
}

/// Writes the page.
///
/// # Errors
/// When it cannot be written.
pub fn write(raw: &Raw, speed: &Speed, path: &Path) -> Result<()> {
    fs::create_dir_all(path.parent().unwrap_or(path)).context("cannot create a directory")?;
    fs::write(path, page(raw, speed)).with_context(|| format!("cannot write {}", path.display()))
}

/// One load on one line, for whoever waits.
#[must_use]
pub fn line(load: &Load) -> String {
    let jobs = load.jobs.iter().map(|(kind, jobs)| format!("{kind}: {} of {} failed", jobs.failed, jobs.all));
    format!(
        "{}, {}: {}; {} prunes, {} of them failed, {} images deleted, {} s",
        load.engine,
        load.pruner,
        jobs.collect::<Vec<_>>().join(", "),
        load.prunes,
        load.failed_prunes.len(),
        load.deleted,
        load.seconds
    )
}

/// How many jobs of each kind there are to be beside our prune, and beside any other,
const JOBS: usize = 1000;
const CONTROL_JOBS: usize = 100;

/// how many prunes between ours, and how many that are killed in their middle.
const PRUNES: usize = 200;
const KILLS: usize = 100;

/// How many jobs of a kind ran.
fn jobs(load: &Load, kind: &Kind) -> usize {
    load.jobs.get(kind.name).map_or(0, |jobs| jobs.all)
}

/// What there is to be and is not, or not as often.
fn not_run(raw: &Raw, speed: &Speed) -> Vec<String> {
    let mut missing = Vec::new();
    let mut want = |what: String, all: usize, wanted: usize| match all {
        0 => missing.push(what),
        all if all < wanted => missing.push(format!("{what}, {all} of {wanted}")),
        _ => {}
    };
    for engine in engines::Kind::ALL.map(engines::Kind::name) {
        for (index, pruner) in PRUNERS.iter().enumerate() {
            let wanted = if index == 0 { JOBS } else { CONTROL_JOBS };
            let is_it = |load: &&Load| (&*load.engine, &*load.pruner) == (engine, pruner.name);
            let Some(load) = raw.loads.iter().find(is_it) else {
                want(format!("{engine}: jobs beside {}", pruner.name), 0, wanted);
                continue;
            };
            for kind in &KINDS {
                want(format!("{engine}, {}: {}", pruner.name, kind.name), jobs(load, kind), wanted);
            }
            if index == 0 {
                want(format!("{engine}, {}: prunes", pruner.name), load.prunes, PRUNES);
            }
        }
        let kills = raw.kills.iter().find(|kills| kills.engine == engine);
        want(
            format!("{engine}: prunes killed in their middle"),
            kills.map_or(0, |kills| kills.between),
            KILLS,
        );
        want(format!("{engine}: the time of deletions"), speed.delete.get(engine).map_or(0, |_| 1), 1);
    }
    want("the time of a choice".into(), speed.choose_ms.len(), 1);
    missing
}

/// What is not as promised.
#[must_use]
pub fn complaints(raw: &Raw, speed: &Speed) -> Vec<String> {
    let mut complaints = Vec::new();
    for load in &raw.loads {
        let is_ours = load.pruner == PRUNERS[0].name;
        let failed: usize = load.jobs.values().map(|jobs| jobs.failed).sum();
        let all: usize = load.jobs.values().map(|jobs| jobs.all).sum();
        if load.pruner == "nobody" || is_ours {
            if failed > 0 || load.has_died || !load.failed_prunes.is_empty() {
                complaints.push(line(load));
            }
        } else if load.engine != "docker-20.10" && load.pruner == "image prune -af" && failed == 0 && all > 0
        {
            complaints.push(format!("the control has no failure: {}", line(load)));
        }
        let is_whole = KINDS.iter().all(|kind| jobs(load, kind) >= JOBS);
        if is_ours && (load.deleted == 0 || load.prunes < PRUNES && is_whole) {
            complaints.push(format!("too few prunes to tell: {}", line(load)));
        }
    }
    for kills in &raw.kills {
        complaints.extend(kills.complaints.iter().map(|text| format!("{}: {text}", kills.engine)));
        if kills.all >= 20 && kills.between == 0 {
            complaints.push(format!("{}: no prune was killed in its middle", kills.engine));
        }
    }
    if speed.choose_ms.iter().chain(&speed.choose_first_ms).any(|&ms| ms >= 1000.0) {
        complaints.push("choosing among 10,000 images takes a second".to_owned());
    }
    complaints
}

fn page(raw: &Raw, speed: &Speed) -> String {
    let mut page = String::new();
    // Writing to a string does not fail.
    let _ = write_page(&mut page, raw, speed);
    page
}

fn write_page(page: &mut String, raw: &Raw, speed: &Speed) -> fmt::Result {
    writeln!(page, "# The prune laboratory\n")?;
    writeln!(
        page,
        "`cargo xtask lab-prune` makes this page of docs/lab/prune.json and docs/bench/prune.json, where all runs are.\n"
    )?;
    writeln!(page, "{}.", origin(&raw.machine, &raw.engines))?;
    writeln!(page, "\n## Jobs that failed beside a prune\n")?;
    writeln!(
        page,
        "Four jobs at a time, of all kinds in turn, and a pruner that rests for 50 ms between two prunes. Each job leases its \
         images from before its first step until its end (`ci-build lease add --ahead --owner $$ IMAGE`). `ci-build prune` \
         deletes whatever it saw a second before and no job needs: `--older-than 1s --grace 1s --dangling`. The engine's own \
         `image prune -af` and `system prune -f` know no leases; `nobody` is the control.\n"
    )?;
    let kinds = KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>();
    writeln!(page, "| engine | pruner | {} | prunes | images deleted |", kinds.join(" | "))?;
    writeln!(page, "|---|---|{}---|---|", "---|".repeat(kinds.len()))?;
    for load in &raw.loads {
        let jobs = kinds.iter().map(|kind| {
            load.jobs.get(*kind).map_or(String::new(), |jobs| {
                let bold = if jobs.failed > 0 { "**" } else { "" };
                format!("{bold}{} of {}{bold}", jobs.failed, jobs.all)
            })
        });
        let jobs = jobs.collect::<Vec<_>>().join(" | ");
        writeln!(
            page,
            "| {} | {} | {jobs} | {} | {} |",
            load.engine, load.pruner, load.prunes, load.deleted
        )?;
    }
    let said = raw.loads.iter().flat_map(|load| {
        let of_jobs = load.jobs.iter().flat_map(move |(kind, jobs)| {
            jobs.said.iter().map(move |said| format!("{}, {}, {kind}: {said}", load.engine, load.pruner))
        });
        let of_prunes =
            load.failed_prunes.iter().map(move |said| format!("{}, {}: {said}", load.engine, load.pruner));
        of_jobs.chain(of_prunes)
    });
    list(page, "What they said", said)?;
    if !raw.kills.is_empty() {
        write_kills(page, &raw.kills)?;
    }
    if !speed.choose_ms.is_empty() {
        write_speed(page, speed)?;
    }
    list(page, "Not run", not_run(raw, speed))?;
    list(page, "Not as promised", complaints(raw, speed))
}

fn write_kills(page: &mut String, all: &[Kills]) -> fmt::Result {
    writeln!(page, "\n## Prunes that were killed\n")?;
    writeln!(
        page,
        "`kill -9` at moments spread over a prune of 6 images with 2 names each; then a prune to the end.\n"
    )?;
    writeln!(
        page,
        "| engine | prunes | killed | with some of the images deleted | something wrong afterwards |"
    )?;
    writeln!(page, "|---|---|---|---|---|")?;
    for kills in all {
        let wrong = if kills.complaints.is_empty() {
            "nothing".into()
        } else {
            escaped(&kills.complaints.join("; "))
        };
        writeln!(
            page,
            "| {} | {} | {} | {} | {wrong} |",
            kills.engine, kills.all, kills.killed, kills.between
        )?;
    }
    Ok(())
}

fn write_speed(page: &mut String, speed: &Speed) -> fmt::Result {
    writeln!(page, "\n## Speed\n")?;
    writeln!(
        page,
        "Choosing among 10,000 images and 1,000 containers (`--dry-run`, all of the program, median of {}): {:.0} ms the first \
         time, {:.0} ms with a record of each image's last use. The engine is a fake one, which tells what a real one told, \
         many times over: a real one needs its own time for the list.\n",
        speed.choose_ms.len(),
        median(&speed.choose_first_ms),
        median(&speed.choose_ms)
    )?;
    writeln!(
        page,
        "Deleting 200 images, median of {}:\n",
        speed.delete.values().map(|delete| delete.ours_ms.len()).max().unwrap_or(0)
    )?;
    writeln!(page, "| engine | `ci-build prune` | `docker rmi` of the same list |")?;
    writeln!(page, "|---|---|---|")?;
    for (engine, delete) in &speed.delete {
        writeln!(
            page,
            "| {engine} | {:.0} ms | {:.0} ms |",
            median(&delete.ours_ms),
            median(&delete.rmi_ms)
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use xtask::workspace;

    use super::super::raw::Jobs;
    use super::*;

    fn load(pruner: &str, all: usize, prunes: usize) -> Load {
        let jobs = KINDS.iter().map(|kind| (kind.name.to_owned(), Jobs { all, failed: 0, said: vec![] }));
        Load {
            engine: "docker-28.5".into(),
            pruner: pruner.into(),
            seconds: 1,
            prunes,
            deleted: 1,
            failed_prunes: Vec::new(),
            has_died: false,
            jobs: jobs.collect(),
        }
    }

    fn raw(prunes: usize, between: usize) -> Raw {
        let kills =
            Kills { engine: "docker-28.5".into(), all: 200, killed: 200, between, complaints: vec![] };
        let controls = PRUNERS[1..].iter().map(|pruner| load(pruner.name, CONTROL_JOBS, 0));
        let loads = [load(PRUNERS[0].name, JOBS, prunes)].into_iter().chain(controls).collect();
        Raw { loads, kills: vec![kills], ..Raw::default() }
    }

    #[test]
    fn what_was_not_run_is_listed() {
        let of_engine = |raw: &Raw| -> Vec<String> {
            let all = not_run(raw, &Speed::default()).into_iter();
            all.filter(|line| line.starts_with("docker-28.5:") || line.starts_with("docker-28.5,")).collect()
        };
        assert_eq!(of_engine(&raw(200, 100)), ["docker-28.5: the time of deletions"]);
        let mut part = raw(199, 24);
        part.loads[0].jobs.entry("pull of 600 MB".to_owned()).or_default().all = 20;
        assert_eq!(
            of_engine(&part),
            [
                "docker-28.5, ci-build prune: pull of 600 MB, 20 of 1000",
                "docker-28.5, ci-build prune: prunes, 199 of 200",
                "docker-28.5: prunes killed in their middle, 24 of 100",
                "docker-28.5: the time of deletions",
            ]
        );
        let lines = not_run(&Raw::default(), &Speed::default());
        assert!(lines.contains(&"docker-28.5-containerd: jobs beside nobody".to_owned()), "{lines:?}");
    }

    #[test]
    fn a_thousand_jobs_need_two_hundred_prunes() {
        let few = |raw: &Raw| {
            complaints(raw, &Speed::default()).iter().any(|line| line.starts_with("too few prunes"))
        };
        assert!(few(&raw(199, 100)) && !few(&raw(200, 100)));
    }

    #[test]
    fn the_page_is_made_from_the_results() {
        let docs = workspace::root().join("docs");
        let raw: Raw = results::load(&docs.join("lab/prune.json")).unwrap();
        let speed = speed(&docs.join("bench/prune.json")).unwrap();
        let written = fs::read_to_string(docs.join("lab-prune.md")).unwrap();
        assert!(
            written == page(&raw, &speed),
            "docs/lab-prune.md is out of date\n  help: `cargo xtask lab-prune --report` makes it anew"
        );
    }
}
