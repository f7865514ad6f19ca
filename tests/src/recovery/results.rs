//! Results in a file, which several runs of the laboratory write to, at the same time too.

use std::fs::File;
use std::path::PathBuf;

use anyhow::{Context, Result};
use xtask::workspace;

use super::raw::{Raw, Row};
use super::{On, Selection, report};
use crate::results;

/// Where they are.
#[derive(Debug)]
pub(super) struct Results {
    path: PathBuf,
    page: PathBuf,
}

impl Results {
    pub(super) fn of(selection: &Selection) -> Self {
        let docs = workspace::root().join("docs");
        match &selection.output {
            Some(path) => Self { path: path.clone(), page: path.with_extension("md") },
            None => Self { path: docs.join("lab/recovery.json"), page: docs.join("lab-recovery.md") },
        }
    }

    /// Changes them as they are now, and makes the page anew.
    ///
    /// # Errors
    /// When they cannot be read or written.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Raw) -> T) -> Result<T> {
        let directory = std::path::absolute(&self.path).context("no such place")?;
        let directory = directory.parent().context("no directory")?;
        std::fs::create_dir_all(directory).context("cannot create a directory")?;
        // Ends with this function.
        let lock = File::open(directory).context("cannot open a directory")?;
        lock.lock().context("cannot lock a directory")?;
        let mut raw = if self.path.exists() { results::load(&self.path)? } else { Raw::default() };
        let outcome = change(&mut raw);
        results::save(&raw, &self.path)?;
        let written = std::fs::write(&self.page, report::page(&raw));
        written.with_context(|| format!("cannot write {}", self.page.display()))?;
        Ok(outcome)
    }

    pub(super) fn version(&self, on: On, version: &str) -> Result<()> {
        self.change(|raw| drop(raw.engines.insert(on.name().to_owned(), version.to_owned())))
    }

    pub(super) fn put(&self, row: Row) -> Result<()> {
        let Row { engine, scenario, place, times, left, .. } = &row;
        eprintln!("{engine} {scenario} {place}: {} of {times} left something", left.len());
        self.change(|raw| raw.put(row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_write_meanwhile_stays() {
        let place = tempfile::tempdir().unwrap();
        let results = || {
            let path = place.path().join("recovery.json");
            Results { page: path.with_extension("md"), path }
        };
        let row = |number: u32| Row {
            engine: "containerd-2.1".into(),
            scenario: "run".into(),
            place: format!("place {number}"),
            times: 1,
            killed: 1,
            left: vec![],
            seconds: 1.0,
        };
        std::thread::scope(|scope| {
            for number in 0..4 {
                scope.spawn(move || (0..5).for_each(|of| results().put(row(number * 5 + of)).unwrap()));
            }
        });
        assert_eq!(results().change(|raw| raw.rows.len()).unwrap(), 20);
        assert!(std::fs::read_to_string(results().page).unwrap().contains("place 19"));
    }
}
