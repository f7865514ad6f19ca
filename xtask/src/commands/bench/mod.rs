//! `cargo xtask bench`: how long a build takes through the frontend beside the engine's own, in turns; then the reader beside
//! a peer, and hazards and plan at two sizes (criterion).

mod overhead;
mod table;

use std::fs;

use anyhow::{Context, Result, bail, ensure};
use xtask::{artifacts, workspace};

use self::overhead::Overhead;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only what the frontend adds to a build
    #[arg(long)]
    overhead: bool,
    /// As many rounds of each kind of build; the results go to target/bench then
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Run nothing: make the table in docs/benchmarks.md anew from docs/bench/overhead.json
    #[arg(long)]
    report: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if !arguments.report {
        let measured = overhead::measure(arguments.rounds)?;
        let docs = workspace::root().join("docs/bench");
        let dir = if arguments.rounds.is_some() { workspace::target()?.join("bench") } else { docs };
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let path = dir.join("overhead.json");
        let text = serde_json::to_string_pretty(&measured).context("cannot write JSON")?;
        fs::write(&path, text + "\n").context("cannot write the results")?;
        eprintln!("{}wrote {}", table::table(&measured), path.display());
        let over = table::over_the_bar(&measured);
        over.iter().for_each(|line| eprintln!("over the bar: {line}"));
    }
    if arguments.rounds.is_none() {
        let page = workspace::root().join("docs/benchmarks.md");
        let text = fs::read_to_string(&page).context("cannot read docs/benchmarks.md")?;
        fs::write(&page, table::renewed(&text, &committed()?)?).context("cannot write docs/benchmarks.md")?;
    }
    if arguments.overhead || arguments.report || arguments.rounds.is_some() { Ok(()) } else { criterion() }
}

/// The results in docs.
fn committed() -> Result<Overhead> {
    let path = workspace::root().join("docs/bench/overhead.json");
    let text = fs::read(&path).context("cannot read docs/bench/overhead.json")?;
    match serde_json::from_slice(&text) {
        Ok(overhead) => Ok(overhead),
        Err(error) => bail!("cannot understand {}: {error}", path.display()),
    }
}

fn criterion() -> Result<()> {
    let mut bench = artifacts::cargo();
    bench.args([
        "bench",
        "--package",
        "ci-build-frontend",
        "--no-default-features",
        "--bench",
        "reader",
        "--bench",
        "plan",
    ]);
    ensure!(bench.status().context("cannot run cargo")?.success(), "the benches do not run");
    Ok(())
}
