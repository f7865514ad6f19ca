//! Results of a long run, kept in a file; and what the pages that are made of them have in common.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Write};
use std::fs;
use std::hash::Hash;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use xtask::{machine, workspace};

/// What was kept in a file.
///
/// # Errors
/// When it cannot be read or understood.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("cannot understand {}", path.display()))
}

/// Keeps results in a file. Where this checkout lies, which engines tell in their errors, is left out: nobody else has it
/// there.
///
/// # Errors
/// When it cannot be written.
pub fn save(results: &impl Serialize, path: &Path) -> Result<()> {
    fs::create_dir_all(path.parent().unwrap_or(path)).context("cannot create a directory")?;
    let text = serde_json::to_string_pretty(results).context("cannot write JSON")?;
    let text = without_place(&text, workspace::root());
    fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
}

/// Results that come piece by piece.
pub(crate) trait Pieces: Serialize {
    /// Puts what was seen later in the place of what was seen before, and beside it where there was nothing.
    fn update(&mut self, later: Self);

    /// Says on which machine it was seen, and in how many seconds.
    fn seen_on(self, machine: Value, seconds: u64) -> Self;
}

/// What was seen so far, in its file: what comes later must not cost it.
pub(crate) struct Kept<R> {
    pub(crate) raw: R,
    pub(crate) path: PathBuf,
    begin: Instant,
    machine: Value,
}

impl<R: Pieces> Kept<R> {
    pub(crate) fn new(raw: R, path: PathBuf) -> Result<Self> {
        Ok(Self { raw, path, begin: Instant::now(), machine: machine::description()? })
    }

    pub(crate) fn add(&mut self, seen: R) -> Result<()> {
        let seconds = self.begin.elapsed().as_secs();
        self.begin = Instant::now();
        self.raw.update(seen.seen_on(self.machine.clone(), seconds));
        save(&self.raw, &self.path)
    }
}

/// Puts each of these in the place of the one of its name, and beside the others where there is none.
pub(crate) fn replace<T, N: Eq + Hash>(all: &mut Vec<T>, later: Vec<T>, name: impl Fn(&T) -> N) {
    let places: HashMap<N, usize> = all.iter().enumerate().map(|(place, one)| (name(one), place)).collect();
    for one in later {
        match places.get(&name(&one)) {
            Some(place) => all[*place] = one,
            None => all.push(one),
        }
    }
}

fn without_place(text: &str, root: &Path) -> String {
    text.replace(&root.display().to_string(), "@workspace@")
}

/// How a program ends that tells whether all was as promised.
#[must_use]
pub fn exit_code(is_as_promised: Result<bool>) -> ExitCode {
    match is_as_promised {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("error: not everything is as promised");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// When and on what the results came about, without a full stop.
pub(crate) fn origin(machine: &Value, engines: &BTreeMap<String, String>) -> String {
    let of = |field: &str| machine[field].as_str().unwrap_or("unknown");
    let engines: Vec<_> = engines.iter().map(|(name, version)| format!("{name} ({version})")).collect();
    format!(
        "{}, on {} with {} cores, {}, kernel {}; {}",
        of("date"),
        of("cpu"),
        machine["cores"],
        of("os"),
        of("kernel"),
        engines.join(", ")
    )
}

/// A chapter that is a list.
pub(crate) fn list(
    page: &mut String,
    title: &str,
    lines: impl IntoIterator<Item = impl AsRef<str>>,
) -> fmt::Result {
    writeln!(page, "\n## {title}\n")?;
    let mut lines = lines.into_iter().peekable();
    if lines.peek().is_none() {
        return writeln!(page, "Nothing.");
    }
    lines.try_for_each(|line| writeln!(page, "- {}", escaped(line.as_ref())))
}

/// On one line, within a table.
pub(crate) fn escaped(text: &str) -> String {
    let text: String = text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    text.replace('|', "\\|").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_checkout_lies_is_not_told() {
        let told = without_place("listen unix /home/me/ci-build/target/x", Path::new("/home/me/ci-build"));
        assert_eq!(told, "listen unix @workspace@/target/x");
    }
}
