//! What a run of the suite saw, as it is kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::cell::{Cell, Verdict};
use super::tolerance::{Coordinates, Table, Tolerance};

/// All of it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Raw {
    /// What was built on, and when.
    pub machine: Value,
    /// The engines, with their versions.
    pub engines: BTreeMap<String, String>,
    /// The version of the client.
    pub client: String,
    /// Case × engine × policy.
    pub cells: Vec<Cell>,
}

impl Raw {
    /// Takes cells of today in, in place of those of the same case and engine.
    pub fn renew(&mut self, cells: Vec<Cell>) {
        let date = self.machine["date"].as_str().unwrap_or("unknown").to_owned();
        let is_same = |a: &Cell, b: &Cell| a.case == b.case && a.engine == b.engine;
        self.cells.retain(|old| !cells.iter().any(|new| is_same(old, new)));
        self.cells.extend(cells.into_iter().map(|cell| Cell { date: date.clone(), ..cell }));
        let key = |cell: &Cell| (cell.topic.clone(), cell.case.clone(), cell.engine.clone(), cell.policy);
        self.cells.sort_by_key(key);
    }

    /// Holds the differences without a reason against the table once more: it may have grown since they were seen. What it
    /// explained stays explained.
    pub fn judge_again(&mut self, table: &Table) {
        for cell in &mut self.cells {
            for difference in std::mem::take(&mut cell.differences) {
                let place =
                    Coordinates { case: &cell.case, engine: &cell.engine, policy: cell.policy.name() };
                match table.explains(place, &difference) {
                    Some(row) => *cell.explained.entry(row.name.clone()).or_default() += 1,
                    None => cell.differences.push(difference),
                }
            }
        }
    }

    /// What must not be, of all cells.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        complaints(&self.cells)
    }

    /// The rows of the table that explain nothing any more, though something that they reach was run.
    #[must_use]
    pub fn idle<'t>(&self, table: &'t Table) -> Vec<&'t Tolerance> {
        let reached = |row: &Tolerance| {
            self.cells.iter().any(|cell| {
                let place =
                    Coordinates { case: &cell.case, engine: &cell.engine, policy: cell.policy.name() };
                cell.not_run.is_none() && row.reaches(place)
            })
        };
        let used = |row: &Tolerance| self.cells.iter().any(|cell| cell.explained.contains_key(&row.name));
        table.difference.iter().filter(|row| !row.sometimes && reached(row) && !used(row)).collect()
    }
}

/// What must not be: differences without a reason, and cases that are not what their data says.
#[must_use]
pub fn complaints(cells: &[Cell]) -> Vec<String> {
    let wrong = cells.iter().filter(|cell| cell.verdict() == Verdict::Wrong);
    let lines = wrong.flat_map(|cell| {
        let place = format!("{} on {}, {}", cell.case, cell.engine, cell.policy.name());
        let own = cell.complaint.iter().map(|complaint| format!("{place}: {complaint}"));
        let differences = cell.differences.iter().map(|difference| {
            let shown =
                |value: &Option<String>| value.as_deref().map_or("-".to_owned(), |text| format!("{text:?}"));
            let (upstream, ours) = (shown(&difference.upstream), shown(&difference.ours));
            format!("{place}: {}: upstream {upstream}, ours {ours}", difference.fact)
        });
        own.chain(differences).collect::<Vec<_>>()
    });
    lines.collect()
}
