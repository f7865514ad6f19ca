//! `ci-build recover`, and what other commands do of it first.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::format::{Format, Shown};
use super::{block_on, duration, print_line};
use crate::engine::containerd::{self, Address, Containerd, Namespace};
use crate::engine::{Endpoint, Engine};
use crate::error::Failure;
use crate::journal::{EngineAt, Journal};
use crate::recover::{self, Here, Options, Report};

/// How long a command looks for what killed ones left before it does its own work.
pub(super) const FIRST: Duration = Duration::from_secs(10);

/// And how long it asks for an engine that another command left something in: all of them are to fit into that.
const OTHERS: Duration = Duration::from_secs(2);

/// How long `ci-build recover` itself asks for one.
const PATIENCE: Duration = Duration::from_secs(30);

const EXAMPLES: &str = "\
Examples:
  ci-build recover --dry-run
  ci-build recover
  ci-build recover --format json | jq .freed
  ci-build recover --containerd

What `ci-build run` makes has a record and a label with its owner. If that is dead (killed, out of memory, the host was \
started anew), the container goes, and then the record. What has a living owner stays, and what is not ours.

Exit codes: 0 fine; 1 something could not be removed, and is tried again later; 2 wrong usage; 125 our own failure";

/// Remove what killed commands left in the engine
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Remove nothing, and say what would be
    #[arg(long)]
    dry_run: bool,
    /// Look at this containerd instead of docker's engine [without ADDRESS: $CONTAINERD_ADDRESS, or the usual one]
    #[arg(long, value_name = "ADDRESS", env = "CI_BUILD_CONTAINERD", default_missing_value = containerd::usual())]
    #[arg(num_args = 0..=1, require_equals = true)]
    containerd: Option<Address>,
    /// How long to wait for another recovery
    #[arg(long, value_name = "TIME", env = "CI_BUILD_WAIT", default_value = "1h", value_parser = duration::parse)]
    wait: Duration,
    #[command(flatten)]
    shown: Shown,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let Arguments { dry_run, containerd, wait, shown: Shown { format } } = arguments;
    let journal = Journal::open()?;
    let options =
        Options { is_dry_run: *dry_run, is_eager: true, wait: *wait, patience: PATIENCE, limit: None };
    let report = block_on(async {
        let reached = match containerd {
            Some(address) => on_containerd(address).await,
            None => here().await.map(|(engine, place)| Reached::Docker(engine, place)),
        };
        let reached = reached.map_err(|failure| {
            // The journal may name others, or this one.
            failure.warn("only what the journal names can be recovered");
        });
        let here = reached.as_ref().ok().map(|reached| match reached {
            Reached::Docker(engine, place) => Here::Docker { engine, place },
            Reached::Containerd(engine, server) => Here::Containerd { engine, server },
        });
        Ok::<_, Failure>(recover::recover(&journal, here, options).await?)
    })??;
    match format {
        Format::Text => print_line(&report)?,
        Format::Json => print_line(serde_json::to_string(&report).unwrap_or_default())?,
    }
    Ok(if report.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// An engine that answers.
enum Reached {
    Docker(Engine, EngineAt),
    /// What it calls itself.
    Containerd(Containerd, String),
}

async fn on_containerd(address: &Address) -> Result<Reached, Failure> {
    // All its namespaces are looked at, whichever this is.
    let namespace: Namespace = "default".parse().expect("letters are a namespace");
    let engine = Containerd::connect(address, &namespace).await?;
    let server = engine.server().await?;
    Ok(Reached::Containerd(engine, server))
}

/// The engine that docker would use, and what the journal calls it.
pub(super) async fn here() -> Result<(Engine, EngineAt), Failure> {
    let endpoint = Endpoint::of_this_process()?;
    let engine = Engine::connect(&endpoint).await?;
    let place = EngineAt::Docker { address: endpoint.address.clone(), engine: engine.identity().await? };
    Ok((engine, place))
}

/// What a command does before its own work: what it cannot do within the limit is left to the next.
pub(super) async fn first(journal: &Journal, here: Here<'_>, limit: Duration) {
    let options = Options {
        is_dry_run: false,
        is_eager: false,
        wait: Duration::ZERO,
        patience: OTHERS,
        limit: Some(limit),
    };
    match recover::recover(journal, Some(here), options).await {
        Ok(report) => tell(&report),
        Err(error) => {
            Failure::from(error).warn("what killed commands left was not looked for");
        }
    }
}

fn tell(report: &Report) {
    if !report.removed.is_empty() || !report.failed.is_empty() {
        match report.removed.is_empty() {
            true => anstream::eprintln!("what killed commands left could not be removed:"),
            false => anstream::eprintln!("recovered what killed commands left:"),
        }
        for line in report.to_string().lines() {
            anstream::eprintln!("  {line}");
        }
    }
    if report.unfinished {
        anstream::eprintln!(
            "warning: not all that killed commands left is removed yet: `ci-build recover` goes on"
        );
    }
}
