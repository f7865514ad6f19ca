//! The page that is made of the results, and what in them is not as promised.

use std::fmt::{self, Write};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::raw::{Attack, Model, Raw, Speed};
use super::{ENTRIES, FILES, KILLS, SWAPS, TOOLS};
use crate::results::{escaped, list, origin};

/// The name of what is looked at.
const OURS: &str = "ci-build";

/// The name of who is led outside.
const CONTROL: &str = "by paths";

/// What it may take for a million entries, in KiB: 100 MB.
const MEMORY: u64 = 97_656;

/// Writes the page.
///
/// # Errors
/// When it cannot be written.
pub fn write(raw: &Raw, path: &Path) -> Result<()> {
    fs::create_dir_all(path.parent().unwrap_or(path)).context("cannot create a directory")?;
    fs::write(path, page(raw)).with_context(|| format!("cannot write {}", path.display()))
}

/// One measurement on one line, for whoever waits.
#[must_use]
pub fn line(speed: &Speed) -> String {
    let of = |(name, ms): (&String, &Vec<f64>)| {
        let cpu = speed.cpu.get(name).map_or(f64::NAN, |cpu| median(cpu));
        let memory = speed.memory.get(name).copied().unwrap_or(0) / 1024;
        format!("{name} {:.0} ms, {cpu:.0} ms of processor time, {memory} MiB", median(ms))
    };
    let all: Vec<String> = speed.ms.iter().map(of).collect();
    format!("{} {}{}: {}", speed.what, speed.files, if speed.is_cold { ", cold" } else { "" }, all.join("; "))
}

fn median(ms: &[f64]) -> f64 {
    let mut ms = ms.to_vec();
    ms.sort_by(f64::total_cmp);
    ms.get(ms.len() / 2).copied().unwrap_or(f64::NAN)
}

/// How many times as fast we are as another, run by run in pairs: the median of the ratios.
fn ratio(speed: &Speed, other: &str) -> Option<f64> {
    let (ours, other) = (speed.ms.get(OURS)?, speed.ms.get(other)?);
    let ratios: Vec<f64> = ours.iter().zip(other).map(|(ours, other)| other / ours).collect();
    Some(median(&ratios))
}

/// What is not as promised.
#[must_use]
pub fn complaints(raw: &Raw) -> Vec<String> {
    let mut complaints = Vec::new();
    for attack in &raw.attacks {
        let is_control = attack.who == CONTROL;
        if is_control && attack.lost == 0 {
            complaints.push(format!("the control touched nothing outside: {attack:?}"));
        }
        if !is_control && (attack.lost > 0 || attack.removed == 0) {
            complaints.push(format!("{attack:?}"));
        }
    }
    for pass in raw.models.iter().flat_map(|model| &model.passes) {
        complaints
            .extend(pass.complaints.iter().map(|wrong| format!("not as the model, {}: {wrong}", pass.rule)));
        if pass.removed == 0 {
            complaints.push(format!("nothing went: {}", pass.rule));
        }
    }
    for kills in &raw.kills {
        complaints.extend(kills.complaints.clone());
        if kills.killed == 0 {
            complaints.push("no sweep was killed before its end".into());
        }
    }
    for cache in raw.caches.iter().filter(|cache| cache.version.is_some()) {
        if cache.failed > 0 || cache.failed_sweeps > 0 {
            complaints.push(format!("{cache:?}"));
        } else if cache.removed == 0 {
            complaints.push(format!("nothing was removed beside {}", cache.tool));
        }
    }
    for speed in &raw.speeds {
        let (other, least) = if speed.what == "scan" { ("find", 1.3) } else { ("systemd-tmpfiles", 1.0) };
        if ratio(speed, other).is_some_and(|ratio| ratio < least) {
            complaints.push(format!("slower than {least} times {other}: {}", line(speed)));
        }
        if speed.memory.get(OURS).is_some_and(|&memory| memory > MEMORY) {
            complaints.push(format!("more than 100 MB: {}", line(speed)));
        }
    }
    complaints
}

/// What of a whole run is not there.
#[must_use]
pub fn not_run(raw: &Raw) -> Vec<String> {
    let mut missing = Vec::new();
    let mut expect = |is_there: bool, what: &str| missing.extend((!is_there).then(|| what.to_owned()));
    for file_system in ["ext4", "tmpfs"] {
        let is_whole = |attack: &Attack| attack.who != CONTROL && attack.swaps >= SWAPS;
        let mut attacks = raw.attacks.iter().filter(|attack| attack.file_system == file_system);
        expect(attacks.any(is_whole), &format!("{SWAPS} swaps on {file_system}"));
    }
    let is_whole = |model: &Model| model.entries >= ENTRIES && model.passes.len() > 1;
    expect(raw.models.iter().any(is_whole), &format!("{ENTRIES} entries against the model"));
    expect(raw.kills.iter().any(|kills| kills.killed >= KILLS), &format!("{KILLS} kills"));
    for tool in super::caches::names() {
        let mut caches = raw.caches.iter().filter(|cache| cache.tool == tool);
        expect(caches.any(|cache| cache.runs >= TOOLS), &format!("{TOOLS} runs of {tool}"));
    }
    for files in FILES {
        for (what, is_cold) in [("scan", false), ("scan", true), ("delete", false), ("delete", true)] {
            let is_it =
                |speed: &Speed| (speed.what.as_str(), speed.files, speed.is_cold) == (what, files, is_cold);
            let heat = if is_cold { "cold" } else { "warm" };
            expect(raw.speeds.iter().any(is_it), &format!("{what} of {files} files, {heat}"));
        }
    }
    missing
}

fn page(raw: &Raw) -> String {
    let mut page = String::new();
    // Writing to a string does not fail.
    let _ = write_page(&mut page, raw);
    page
}

fn write_page(page: &mut String, raw: &Raw) -> fmt::Result {
    writeln!(page, "# The sweep laboratory\n")?;
    writeln!(
        page,
        "`cargo xtask sweep` writes this page and docs/lab/sweep.json. {}.",
        origin(&raw.machine, &raw.programs)
    )?;
    list(page, "What is not as promised", complaints(raw))?;
    list(page, "What was not run", not_run(raw))?;
    writeln!(page, "\n## Swaps\n")?;
    writeln!(
        page,
        "Somebody swaps directories of the tree for links to a directory outside that has the same names, while it is swept again"
    )?;
    writeln!(page, "and again. The control lists and removes by paths, and ends when it was led outside.\n")?;
    writeln!(
        page,
        "| file system | who | swaps | sweeps | removed inside | lost outside |\n|---|---|---|---|---|---|"
    )?;
    for attack in &raw.attacks {
        let removed = if attack.who == CONTROL { "–".into() } else { attack.removed.to_string() };
        writeln!(
            page,
            "| {} | {} | {} | {} | {removed} | {} |",
            attack.file_system, attack.who, attack.swaps, attack.sweeps, attack.lost
        )?;
    }
    write_models(page, &raw.models)?;
    writeln!(page, "\n## Kills\n")?;
    for kills in &raw.kills {
        writeln!(
            page,
            "{} sweeps of {} old files were started, {} of them killed by SIGKILL before their end. Nothing was told that was not so; {} files \
             went without a line in the trail (at most one a thread and kill: {}).",
            kills.all,
            kills.files,
            kills.killed,
            kills.untold,
            kills.killed * super::kill::THREADS
        )?;
    }
    writeln!(page, "\n## Tools beside sweeps\n")?;
    writeln!(
        page,
        "What was not used for two seconds goes, all the time, while the tool uses now this and now that.\n"
    )?;
    writeln!(
        page,
        "| tool | version | runs | failed | sweeps | failed | files removed |\n|---|---|---|---|---|---|---|"
    )?;
    for cache in &raw.caches {
        let version = cache.version.as_deref().unwrap_or("not to be had here");
        writeln!(
            page,
            "| {} | {} | {} | {} | {} | {} | {} |",
            cache.tool,
            escaped(version),
            cache.runs,
            cache.failed,
            cache.sweeps,
            cache.failed_sweeps,
            cache.removed
        )?;
    }
    writeln!(page, "\n## Speed\n")?;
    writeln!(
        page,
        "Empty files, 100 in a directory; half of them are deleted. Medians, one program after the other in each run, each deletion of a tree"
    )?;
    writeln!(
        page,
        "that was filled up again. `find` looks at atime and mtime, as we do and `systemd-tmpfiles` is told to. Ratios are medians of those of the runs. In\nparentheses: processor time, of all threads.\n"
    )?;
    writeln!(
        page,
        "| what | files | | ci-build | find | systemd-tmpfiles | find ÷ ours | tmpfiles ÷ ours | our memory |\n|---|---|---|---|---|---|---|---|---|"
    )?;
    for speed in &raw.speeds {
        let ms = |name: &str| {
            let cpu = speed.cpu.get(name).map(|cpu| format!(" ({:.0})", median(cpu))).unwrap_or_default();
            speed.ms.get(name).map_or("–".into(), |ms| format!("{:.0} ms{cpu}", median(ms)))
        };
        let times = |name: &str| ratio(speed, name).map_or("–".into(), |ratio| format!("{ratio:.2}"));
        writeln!(
            page,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {:.1} MB |",
            speed.what,
            speed.files,
            if speed.is_cold { "cold" } else { "warm" },
            ms(OURS),
            ms("find"),
            ms("systemd-tmpfiles"),
            times("find"),
            times("systemd-tmpfiles"),
            speed.memory.get(OURS).copied().unwrap_or(0) as f64 * 1024.0 / 1e6
        )?;
    }
    Ok(())
}

fn write_models(page: &mut String, models: &[Model]) -> fmt::Result {
    writeln!(page, "\n## A model\n")?;
    for model in models {
        writeln!(
            page,
            "A tree of {} entries: {} directories, the deepest {} below the tree; {} names of files and links, {} of them further names of a file \
             that has one, {} symbolic links, {} sparse files; {} files have a name outside too; one name in five is odd: line breaks, no UTF-8, \
             quotes, 240 bytes and more. A naive model, by paths and recursion, says what goes, what that frees, and what is left.\n",
            model.entries,
            model.directories,
            model.deepest,
            model.files,
            model.hard,
            model.links,
            model.sparse,
            model.outside
        )?;
        writeln!(page, "| sweep | entries removed | bytes freed | not as the model |\n|---|---|---|---|")?;
        for pass in &model.passes {
            let wrong = pass.complaints.len();
            writeln!(page, "| `{}` | {} | {} | {wrong} |", pass.rule, pass.removed, pass.freed)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_that_of_the_results() {
        let docs = xtask::workspace::root().join("docs");
        let raw = crate::results::load(&docs.join("lab/sweep.json")).unwrap();
        let kept = fs::read_to_string(docs.join("lab-sweep.md")).unwrap();
        assert_eq!(page(&raw), kept, "make it anew: cargo xtask sweep --report");
    }

    #[test]
    fn what_was_not_run_is_told() {
        let missing = not_run(&Raw::default());
        assert_eq!(missing.len(), 2 + 1 + 1 + 4 + 8, "{missing:?}");
        let attack = |swaps| Attack { file_system: "tmpfs".into(), swaps, ..Attack::default() };
        let left = |swaps| not_run(&Raw { attacks: vec![attack(swaps)], ..Raw::default() }).len();
        assert_eq!((left(SWAPS), left(SWAPS - 1)), (missing.len() - 1, missing.len()));
    }

    #[test]
    fn what_is_too_slow_is_told() {
        let of = |ours: f64| Speed {
            what: "scan".into(),
            files: 1,
            is_cold: false,
            ms: [(OURS.to_owned(), vec![ours; 3]), ("find".to_owned(), vec![130.0; 3])].into(),
            memory: [(OURS.to_owned(), 10)].into(),
            ..Speed::default()
        };
        let complaints = |ours| complaints(&Raw { speeds: vec![of(ours)], ..Raw::default() });
        assert_eq!(complaints(99.0), [""; 0]);
        assert_eq!(complaints(101.0).len(), 1);
    }
}
