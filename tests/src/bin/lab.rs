//! `cargo xtask lab`.

use std::process::ExitCode;

use ci_build_tests::lab;
use clap::Parser;

fn main() -> ExitCode {
    match lab::run(&lab::Selection::parse()) {
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
