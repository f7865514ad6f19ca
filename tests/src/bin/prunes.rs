//! `cargo xtask lab-prune`.

use std::process::ExitCode;

use ci_build_tests::{prunes, results};
use clap::Parser;

fn main() -> ExitCode {
    results::exit_code(prunes::run(&prunes::Selection::parse()))
}
