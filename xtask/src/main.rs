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
    /// Docker engines of several versions, side by side, out of Debian packages
    #[command(subcommand)]
    Engines(commands::engines::Command),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
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
