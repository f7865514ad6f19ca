//! What the tests measured: printed at the end, and written where a laboratory wants it.

use std::sync::Mutex;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// How often something is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runs {
    /// Often enough to see that it works: `cargo xtask test`.
    Few,
    /// Often enough for the claims that we make: `cargo xtask lab`.
    All,
}

impl Runs {
    /// What the environment asks for.
    #[must_use]
    pub fn of_environment() -> Self {
        if std::env::var_os("CI_BUILD_LAB").is_some() { Self::All } else { Self::Few }
    }

    /// One of two numbers.
    #[must_use]
    pub fn of(self, few: usize, all: usize) -> usize {
        match self {
            Self::Few => few,
            Self::All => all,
        }
    }
}

/// The measurements of one run of the tests.
#[derive(Debug, Default)]
pub struct Measured(Mutex<Vec<(String, String, Value)>>);

impl Measured {
    /// Keeps what was measured on an engine: figures by name.
    pub fn keep(&self, engine: &str, what: &str, figures: Value) {
        let row = (engine.to_owned(), what.to_owned(), figures);
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(row);
    }

    /// All of it, a line each.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.sorted().iter().map(|(engine, what, figures)| format!("{engine} {what} {figures}")).collect()
    }

    /// Writes a JSON list to the file that the environment names, if it names one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self) -> Result<()> {
        let Some(path) = std::env::var_os("CI_BUILD_LAB") else { return Ok(()) };
        let rows = self.sorted();
        let rows: Vec<_> = rows
            .iter()
            .map(|(engine, what, figures)| json!({"engine": engine, "what": what, "figures": figures}))
            .collect();
        std::fs::write(path, format!("{:#}\n", Value::from(rows))).context("cannot write the results")
    }

    fn sorted(&self) -> Vec<(String, String, Value)> {
        let mut rows = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        rows.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        rows
    }
}
