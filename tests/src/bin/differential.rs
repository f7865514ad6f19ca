//! `cargo xtask differential`.

use std::process::ExitCode;

use ci_build_tests::{differential, results};
use clap::Parser;

fn main() -> ExitCode {
    results::exit_code(differential::run(&differential::Selection::parse()))
}
