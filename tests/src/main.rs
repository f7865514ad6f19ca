//! The laboratories, `cargo xtask lab` and its neighbours: one program, so that what they share is linked once.

use std::process::ExitCode;

use ci_build_tests::{copies, differential, lab, prunes, pulls, recovery, results, soak, storm, sweeps};
use clap::Parser;

#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
enum Laboratory {
    Lab(lab::Selection),
    LabPrune(prunes::Selection),
    Differential(differential::Selection),
    Storm(storm::Selection),
    Soak(soak::Arguments),
    Recovery(recovery::Selection),
    Copies(copies::Selection),
    Pulls(pulls::Selection),
    Sweep(sweeps::Selection),
}

fn main() -> ExitCode {
    results::exit_code(match Laboratory::parse() {
        Laboratory::Lab(selection) => lab::run(&selection),
        Laboratory::LabPrune(selection) => prunes::run(&selection),
        Laboratory::Differential(selection) => differential::run(&selection),
        Laboratory::Storm(selection) => storm::run(&selection),
        Laboratory::Soak(arguments) => soak::run(&arguments),
        Laboratory::Recovery(selection) => recovery::run(&selection),
        Laboratory::Copies(selection) => copies::run(&selection),
        Laboratory::Pulls(selection) => pulls::run(&selection),
        Laboratory::Sweep(selection) => sweeps::run(&selection),
    })
}
