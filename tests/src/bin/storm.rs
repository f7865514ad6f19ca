//! `cargo xtask storm`.

use std::process::ExitCode;

use ci_build_tests::{results, storm};
use clap::Parser;

fn main() -> ExitCode {
    results::exit_code(storm::run(&storm::Selection::parse()))
}
