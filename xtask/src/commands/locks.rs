//! `cargo xtask locks`: the lock beside util-linux flock, and a long history of it, both in release.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use xtask::{artifacts, command, machine, workspace};

/// Between these lines of docs/locks.md stands what this command writes.
const BEGIN: &str = "<!-- written by cargo xtask locks -->\n";
const END: &str = "<!-- end of what cargo xtask locks writes -->\n";

pub(crate) fn run() -> Result<()> {
    let dir = tempfile::tempdir().context("cannot create a directory")?;
    let results = json!({
        "machine": machine::description()?,
        "flock": command::output(Command::new("flock").arg("--version"))?.trim(),
        "figures": measured(dir.path(), "lock::figures::figures", "CI_BUILD_FIGURES")?,
        "history": measured(dir.path(), "lock::history::a_writer_or_readers_and_never_both", "CI_BUILD_HISTORY")?,
    });
    let path = workspace::root().join("docs/bench/lock.json");
    fs::write(&path, lines(&results)?).with_context(|| format!("cannot write {}", path.display()))?;
    let page = workspace::root().join("docs/locks.md");
    let text = fs::read_to_string(&page).with_context(|| format!("cannot read {}", page.display()))?;
    let text = replaced(&text, &table(&results)?)?;
    fs::write(&page, text).with_context(|| format!("cannot write {}", page.display()))?;
    eprintln!("wrote {} and {}", path.display(), page.display());
    Ok(())
}

/// Runs one test in release, and reads what it wrote where the variable says.
fn measured(dir: &Path, test: &str, variable: &str) -> Result<Value> {
    let path = dir.join(variable);
    let mut cargo = artifacts::cargo();
    cargo.args(["test", "--release", "--package", "ci-build", "--test", "it", "--"]);
    cargo.args(["--include-ignored", "--nocapture", "--exact", test]);
    cargo.env(variable, &path).env("CI_BUILD_BIG", "1");
    ensure!(cargo.status().context("cannot run cargo")?.success(), "{test} does not pass");
    let text = fs::read_to_string(&path).with_context(|| format!("{test} wrote nothing"))?;
    serde_json::from_str(&text).context("it wrote no JSON")
}

/// JSON with a line for each pair of keys, so that a thousand figures are not a thousand lines.
fn lines(results: &Value) -> Result<String> {
    let mut text = String::from("{\n");
    let top = results.as_object().context("an object")?;
    let mut rows = Vec::new();
    for (key, value) in top {
        match value.as_object() {
            Some(inner) => rows.extend(inner.iter().map(|(name, value)| (format!("{key}.{name}"), value))),
            None => rows.push((key.clone(), value)),
        }
    }
    for (index, (key, value)) in rows.iter().enumerate() {
        let comma = if index + 1 < rows.len() { "," } else { "" };
        writeln!(text, "  {}: {value}{comma}", json!(key))?;
    }
    text.push_str("}\n");
    Ok(text)
}

fn replaced(page: &str, table: &str) -> Result<String> {
    let parts = page.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    match parts {
        Some((before, after)) => Ok(format!("{before}{BEGIN}{table}{END}{after}")),
        None => bail!("docs/locks.md has lost the lines between which the figures stand"),
    }
}

fn table(results: &Value) -> Result<String> {
    let figures = &results["figures"];
    let free = &figures["free"];
    let number = |value: &Value| value.as_f64().context("a figure is missing");
    let mut text =
        format!("\nOn {}, raw in [bench/lock.json](bench/lock.json):\n\n", shown(&results["machine"]));
    text.push_str("| | ours | plain flock | bar |\n|---|---|---|---|\n");
    writeln!(
        text,
        "| a command under a free lock, median of 1,000 | {:.2} ms, {:.2} times flock's | {:.2} ms | 1.5 times |",
        number(&free["median_ours_ms"])?,
        number(&free["ratio_of_medians"])?,
        number(&free["median_flock_ms"])?,
    )?;
    for row in figures["writer"].as_array().context("a list")? {
        let plain = match row["plain_flock_ms"].as_f64() {
            Some(time) => format!("{time:.1} ms"),
            None => format!("not within {:.0} s", number(&row["plain_flock_given_up_after_ms"])? / 1000.0),
        };
        writeln!(
            text,
            "| a writer among {} readers of 20 ms, 20 times | median {:.1} ms, at most {:.1} ms: {:.1} ms more than the longest reader | {plain} | 50 ms more |",
            row["readers"],
            number(&row["median_ms"])?,
            number(&row["most_ms"])?,
            number(&row["most_over_longest_reader_ms"])?,
        )?;
    }
    for row in figures["readers"].as_array().context("a list")? {
        writeln!(
            text,
            "| {}: a reader waits | median {:.2} ms, p99 {:.1} ms | | |",
            row["what"].as_str().context("a name")?,
            number(&row["median_ms"])?,
            number(&row["p99_ms"])?,
        )?;
    }
    let history = &results["history"];
    writeln!(
        text,
        "\nThe history: {} operations by {} processes, {} of them killed at any moment, {} violations, {:.0} s.",
        history["operations"],
        history["processes"],
        history["killed"],
        history["violations"],
        number(&history["seconds"])?,
    )?;
    text.push('\n');
    Ok(text)
}

fn shown(machine: &Value) -> String {
    let text = |key: &str| machine[key].as_str().unwrap_or("unknown").to_owned();
    format!("{}, {} cores, kernel {}, {}", text("cpu"), machine["cores"], text("kernel"), text("date"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stood_between_the_lines_is_replaced() {
        let page = format!("before\n{BEGIN}old\n{END}after\n");
        assert_eq!(replaced(&page, "new\n").unwrap(), format!("before\n{BEGIN}new\n{END}after\n"));
        assert!(replaced("before\n", "new\n").is_err());
    }
}
