//! Which engines there are, and which run.

use std::path::PathBuf;

use anyhow::Result;

use super::{
    Kind, fetch,
    state::{self, Health, Run},
};

/// A line of `engines list`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Of a running engine its own name, else that of its kind.
    pub name: String,
    /// What it is an engine of.
    pub kind: Kind,
    /// Of Docker; the expected one when nothing is fetched.
    pub version: String,
    /// For people.
    pub state: &'static str,
    /// Whether it lives until it is stopped: it runs, and no process owns it.
    pub is_detached: bool,
    /// Of a running one.
    pub socket: Option<PathBuf>,
}

/// Every kind, followed by the engines of that kind that were started.
///
/// # Errors
/// When the engines' directory cannot be read.
pub fn list() -> Result<Vec<Entry>> {
    let mut runs = Vec::new();
    for dir in state::run_dirs()? {
        match Run::load(&dir) {
            Ok(Some(run)) => runs.push(run),
            Ok(None) => {}
            Err(error) => eprintln!("warning: {error:#}"),
        }
    }
    let mut entries = Vec::new();
    for kind in Kind::ALL {
        let fetched = fetch::fetched(kind.suite())?;
        let version = fetched.as_ref().map_or(kind.version(), |fetched| fetched.docker_version()).to_owned();
        entries.push(Entry {
            name: kind.name().to_owned(),
            kind,
            version: version.clone(),
            state: if fetched.is_some() { "fetched" } else { "absent" },
            is_detached: false,
            socket: None,
        });
        for run in runs.iter().filter(|run| run.state.kind == kind.name()) {
            let health = run.health()?;
            entries.push(Entry {
                name: run.name(),
                kind,
                version: version.clone(),
                state: match (health, &run.state.owner) {
                    (Health::Running, None) => "running",
                    (Health::Running, Some(_)) => "running, owned",
                    (Health::Starting, _) => "starting",
                    (Health::Ended, _) => "ended",
                    (Health::Dead, _) => "dead",
                },
                is_detached: health == Health::Running && run.state.owner.is_none(),
                socket: (health == Health::Running).then(|| run.socket()),
            });
        }
    }
    Ok(entries)
}
