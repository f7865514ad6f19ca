//! `ci-build status`.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;

use super::format::{Format, Shown};
use super::{block_on, document, duration, print_line};
use crate::disk::Space;
use crate::engine::{Endpoint, Engine, Info};
use crate::error::Failure;
use crate::journal::Journal;
use crate::store::{Lease, Overview, Store};

mod json;
mod text;

const EXAMPLES: &str = "\
Examples:
  ci-build status
  ci-build status --format json | jq '.stores[].holders'
  ci-build status --timeout 1s

An engine that does not answer is shown as such, and is no error.";

/// Show the engine, who holds which lock, who waits, which images are needed, the last prune, and what could not be removed
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    shown: Shown,
    /// How long the engine may take to answer
    #[arg(long, value_name = "TIME", env = "CI_BUILD_ENGINE_TIMEOUT", default_value = "5s", value_parser = duration::parse)]
    timeout: Duration,
}

/// An engine, as far as it told of itself in time.
struct Seen {
    /// Where it was looked for; none where not even that is known.
    endpoint: Option<Endpoint>,
    info: Result<Info, Failure>,
    /// The room for its data; none where it is on another host, or this user may not look.
    space: Option<Space>,
}

pub(super) fn run(Arguments { shown, timeout }: &Arguments) -> Result<(), Failure> {
    let is_worth_telling = |store: &Overview| {
        !store.records.is_empty() || !store.leases.is_empty() || store.last_prune.is_some()
    };
    let stores: Vec<_> = Store::all()?.into_iter().filter(is_worth_telling).collect();
    let (engines, failures) = ([look(*timeout)?], Journal::all_failures()?);
    print_line(match shown.format {
        Format::Json => document(vec![
            ("engines", engines.iter().map(json::engine).collect()),
            ("stores", stores.iter().map(json::store).collect()),
            ("failures", failures.iter().filter_map(json::failure).collect()),
        ]),
        Format::Text => text::status(&engines, &stores, &failures, Timestamp::now()),
    })
}

/// Asks the engine that docker would use.
fn look(limit: Duration) -> Result<Seen, Failure> {
    let endpoint = match Endpoint::of_this_process() {
        Ok(endpoint) => endpoint,
        Err(error) => return Ok(Seen { endpoint: None, info: Err(error.into()), space: None }),
    };
    let info = block_on(Engine::look(&endpoint, limit))?.map(|(_, info)| info).map_err(Failure::from);
    let local = info.as_ref().ok().filter(|info| info.is_local);
    let space = local.and_then(|info| info.root.as_deref()).and_then(|root| Space::of(root).ok());
    Ok(Seen { endpoint: Some(endpoint), info, space })
}

/// Shows the leases of all stores alone.
pub(super) fn leases(shown: &Shown) -> Result<(), Failure> {
    let leases: Vec<Lease> = Store::all()?.into_iter().flat_map(|store| store.leases).collect();
    print_line(match shown.format {
        Format::Json => document(vec![("leases", leases.iter().map(json::lease).collect())]),
        Format::Text => text::leases(&leases, Timestamp::now()),
    })
}
