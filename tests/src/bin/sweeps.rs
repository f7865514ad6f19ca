//! `cargo xtask sweep`.

use std::process::ExitCode;

use ci_build_tests::{results, sweeps};
use clap::Parser;

fn main() -> ExitCode {
    results::exit_code(sweeps::run(&sweeps::Selection::parse()))
}
