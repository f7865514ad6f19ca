//! `cargo xtask pulls`.

use std::process::ExitCode;

use ci_build_tests::{pulls, results};
use clap::Parser;

fn main() -> ExitCode {
    results::exit_code(pulls::run(&pulls::Selection::parse()))
}
