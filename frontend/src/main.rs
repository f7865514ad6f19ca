//! The gateway binary: see [`ci_build_frontend::gateway`].

use std::process::ExitCode;

use ci_build_frontend::{PRIME, gateway};

fn main() -> ExitCode {
    // What there is to prepare was mounted by the engine.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == PRIME) {
        return ExitCode::SUCCESS;
    }
    gateway::run(gateway::build)
}
