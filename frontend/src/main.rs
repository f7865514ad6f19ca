//! The gateway binary: see [`ci_build_frontend::gateway`].

use std::process::ExitCode;

use ci_build_frontend::gateway;

fn main() -> ExitCode {
    gateway::run(gateway::build)
}
