//! The quick cases of the differential suite on one engine; all of them on all engines are `cargo xtask differential`.

use std::env;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, ensure};
use ci_build_tests::differential::bench::Bench;
use ci_build_tests::differential::case::{self, Case};
use ci_build_tests::differential::image::Layers;
use ci_build_tests::differential::services::Services;
use ci_build_tests::differential::tolerance::{self, Table};
use ci_build_tests::differential::{cell, raw};
use ci_build_tests::durations::Durations;
use libtest_mimic::{Arguments, Failed, Trial};
use xtask::engines::{Kind, LATER};

/// The one with the most to compare: attestations are in its images.
const ENGINE: Kind = Kind::Docker28_5Containerd;

fn main() -> ExitCode {
    if env::var_os(LATER).is_some() {
        eprintln!("tests on engines are for later");
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    let table = Arc::new(tolerance::load()?);
    let stand = Arc::new(Mutex::new(None));
    let durations = Arc::new(Durations::default());
    let quick = case::load()?.into_iter().filter(|case| case.quick);
    let trials = quick.map(|case| {
        let (table, stand, durations) = (Arc::clone(&table), Arc::clone(&stand), Arc::clone(&durations));
        let name = format!("{}::{}", ENGINE.name(), case.name);
        Trial::test(name, move || {
            let tested = test(&case, &stand, &table, &durations);
            tested.map_err(|error| Failed::from(format!("{error:#}")))
        })
    });
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials.collect());
    eprint!("{}", durations.slowest(usize::MAX));
    if let Some(Ok(stand)) = stand.lock().unwrap_or_else(PoisonError::into_inner).take() {
        stand.bench.engine.stop()?;
    }
    Ok(conclusion.exit_code())
}

/// What all cases share.
struct Stand {
    bench: Bench,
    services: Services,
    layers: Layers,
}

impl Stand {
    fn start() -> Result<Self> {
        let services = Services::start()?;
        let bench = Bench::start(ENGINE, &services)?;
        Ok(Self { bench, services, layers: Layers::default() })
    }
}

/// One after the other, because each begins with an empty cache. What does not start fails all.
fn test(
    case: &Case,
    stand: &Mutex<Option<Result<Stand, String>>>,
    table: &Table,
    durations: &Durations,
) -> Result<()> {
    let mut stand = stand.lock().unwrap_or_else(PoisonError::into_inner);
    let start =
        || durations.of("the engine and its services", Stand::start).map_err(|error| format!("{error:#}"));
    let stand = stand.get_or_insert_with(start).as_mut();
    let Stand { bench, services, layers } =
        stand.map_err(|error| anyhow::anyhow!("the engine does not start: {error}"))?;
    let cells = durations.of(&case.name, || cell::run(case, bench, services, layers, table));
    let lacks: Vec<_> = cells.iter().filter_map(|cell| cell.not_run.as_deref()).collect();
    ensure!(lacks.is_empty(), "it was not run: {lacks:?}");
    let complaints = raw::complaints(&cells);
    ensure!(complaints.is_empty(), "{}", complaints.join("\n"));
    Ok(())
}
