//! `cargo xtask recovery`.

use std::process::ExitCode;

use ci_build_tests::{recovery, results};
use clap::Parser;

fn main() -> ExitCode {
    results::exit_code(recovery::run(&recovery::Selection::parse()))
}
