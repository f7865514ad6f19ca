//! `cargo xtask soak`.

use std::process::ExitCode;

use ci_build_tests::{results, soak};
use clap::Parser;

fn main() -> ExitCode {
    results::exit_code(soak::run(&soak::Arguments::parse()))
}
