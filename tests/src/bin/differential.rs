//! `cargo xtask differential`.

use std::process::ExitCode;

use ci_build_tests::differential;
use clap::Parser;

fn main() -> ExitCode {
    match differential::run(&differential::Selection::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("error: not everything is as promised");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
