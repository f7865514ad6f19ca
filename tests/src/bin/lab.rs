//! `cargo xtask lab`.

use std::process::ExitCode;

use ci_build_tests::{lab, results};
use clap::Parser;

fn main() -> ExitCode {
    results::exit_code(lab::run(&lab::Selection::parse()))
}
