//! `ci-build watch`.

use std::process::ExitCode;

use clap::Args;

use super::block_on;
use crate::engine::{Endpoint, Engine};
use crate::error::{Blame, Explain, Failure};
use crate::store::{Identity, Store};
use crate::watch::{self, Notice};

const EXAMPLES: &str = "\
Examples:
  ci-build watch
  CI_BUILD_LOG=info ci-build watch --store nightly
  systemctl enable --now ci-build-watch    # the unit of the Debian package

It runs until it is stopped, over restarts of the engine too.
Exit codes: 75 another watch is at work; 125 our own failure";

/// Keep in mind when images are used, for prune to delete the least recently used ones
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Keep records under this name [default: under the engine's identity]
    #[arg(long, value_name = "NAME", env = "CI_BUILD_STORE")]
    store: Option<Identity>,
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
    let identity = match store {
        Some(name) => name.clone(),
        None => Identity::Docker(block_on(async { Engine::connect(&endpoint).await?.identity().await })??),
    };
    let store = Store::open(identity)?;
    let uses = store.last_uses()?;
    let Some(_watch) = uses.watch()? else { return Err(Watched(store.identity().to_string()).into()) };
    let tell = |notice: Notice| match notice {
        Notice::Follows => anstream::eprintln!("following the engine at {endpoint}"),
        Notice::Lost(why) => anstream::eprintln!("lost the engine, trying again: {why}"),
    };
    block_on(watch::run(&endpoint, &store, &uses, tell))??;
    Ok(ExitCode::SUCCESS)
}
