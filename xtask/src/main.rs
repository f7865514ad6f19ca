//! `cargo xtask`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod commands;

/// What developers of ci-build run
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build two racing Dockerfiles on a real engine, first as upstream does and then through ci-build
    Demo,
    /// Run everything that must hold before a change lands: formatting, lints, all tests on all engines
    Test,
    /// Measure what the frontend adds to a build, and write docs/bench
    Bench(commands::bench::Arguments),
    /// Build Dockerfiles that break by every strategy on every engine, and write docs/lab
    Lab(commands::program::Arguments),
    /// Run CI jobs beside prunes, kill prunes and measure them, and write docs/lab-prune.md
    LabPrune(commands::program::Arguments),
    /// Build all that Docker can build by upstream and by ours, compare, and write docs/differential.md
    Differential(commands::program::Arguments),
    /// Run jobs beside a pruner and end builds at random times, with ci-build and without, and write docs/storm.md
    Storm(commands::program::Arguments),
    /// Measure the lock beside util-linux flock, check a long history of it, and write docs/bench/lock.json and docs/locks.md
    Locks,
    /// Build many times through one engine, cancel some of it, and write docs/soak.md
    Soak(commands::program::Arguments),
    /// Kill runs and recoveries at every labelled place, look at what is left, and write docs/lab/recovery.json
    Recovery(commands::program::Arguments),
    /// Copy an image between two registries beside skopeo and crane, and write docs/bench/copies.json
    Copies(commands::program::Arguments),
    /// Pull past slow mirrors and rate limits beside docker and crane, and write docs/bench/pulls.json
    Pulls(commands::program::Arguments),
    /// Sweep under attack, kill sweeps, sweep caches of running tools, measure, and write docs/lab-sweep.md
    Sweep(commands::program::Arguments),
    /// Have real engines make the build definitions in testdata/llb anew
    Capture,
    /// Compare the Dockerfile reader with upstream's verdicts on real files, which testdata/corpus.tsv names
    Corpus(commands::corpus::Arguments),
    /// Write anew what comes from data: docs/rules, docs/options.md, docs/configuration.md and docs/pictures
    Docs,
    /// Make what users install: a Debian package, an archive; or build the frontend's image twice and compare
    #[command(subcommand)]
    Package(commands::package::Command),
    /// Docker engines of several versions, side by side, out of Debian packages
    #[command(subcommand)]
    Engines(commands::engines::Command),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Demo => commands::demo::run(),
        Command::Test => commands::test::run(),
        Command::Bench(arguments) => commands::bench::run(&arguments),
        Command::Lab(arguments) => commands::program::run("lab", "the laboratory", &arguments),
        Command::LabPrune(arguments) => {
            commands::program::run("lab-prune", "the prune laboratory", &arguments)
        }
        Command::Differential(arguments) => {
            commands::program::run("differential", "the differential suite", &arguments)
        }
        Command::Storm(arguments) => commands::program::run("storm", "the storm", &arguments),
        Command::Locks => commands::locks::run(),
        Command::Soak(arguments) => commands::program::run("soak", "the soak", &arguments),
        Command::Recovery(arguments) => {
            commands::program::run("recovery", "the recovery laboratory", &arguments)
        }
        Command::Copies(arguments) => commands::program::run("copies", "the copies", &arguments),
        Command::Pulls(arguments) => commands::program::run("pulls", "the pulls", &arguments),
        Command::Sweep(arguments) => commands::program::run("sweep", "the sweep laboratory", &arguments),
        Command::Capture => commands::capture::run(),
        Command::Corpus(arguments) => commands::corpus::run(&arguments),
        Command::Docs => commands::docs::run(),
        Command::Package(command) => command.run(),
        Command::Engines(command) => command.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
