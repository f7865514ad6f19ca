//! `cargo xtask copies`.

use std::process::ExitCode;

use ci_build_tests::{copies, results};
use clap::Parser;

fn main() -> ExitCode {
    results::exit_code(copies::run(&copies::Selection::parse()))
}
