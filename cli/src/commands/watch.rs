//! `ci-build watch`.

use std::process::ExitCode;

use clap::Args;

use super::block_on;
use super::lock::StoreArgument;
use crate::engine::Endpoint;
use crate::error::{Blame, Explain, Failure};
use crate::watch::{self, Notice};

const EXAMPLES: &str = "\
Examples:
  ci-build watch
  systemctl enable --now ci-build-watch

It runs until it is stopped, over restarts of the engine too. docs/prune.md has a systemd unit.
Exit codes: 75 another watch is at work; 125 our own failure";

/// Keep in mind when images are used, for prune to delete the least recently used ones
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    store: StoreArgument,
}

/// One watch is enough.
#[derive(Debug, thiserror::Error)]
#[error("another `ci-build watch` is at work for the store '{0}'")]
struct Watched(String);

impl Explain for Watched {
    fn blame(&self) -> Blame {
        Blame::Holder
    }
}

pub(super) fn run(Arguments { store }: &Arguments) -> Result<ExitCode, Failure> {
    let endpoint = Endpoint::of_this_process()?;
    let store = store.open()?;
    let uses = store.last_uses()?;
    let Some(_watch) = uses.watch()? else { return Err(Watched(store.identity().to_string()).into()) };
    let tell = |notice: Notice| match notice {
        Notice::Follows => anstream::eprintln!("following the engine at {endpoint}"),
        Notice::Lost(why) => anstream::eprintln!("lost the engine, trying again: {why}"),
    };
    block_on(watch::run(&endpoint, &store, &uses, tell))??;
    Ok(ExitCode::SUCCESS)
}
