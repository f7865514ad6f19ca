//! The least frontend: it has the engine's own one build and hands on the result. What it adds to a build any frontend in an image
//! adds: the engine starts a container for it, and ends it (`cargo xtask bench`).

use std::process::ExitCode;

use ci_build_frontend::gateway;

fn main() -> ExitCode {
    gateway::run(gateway::unchanged)
}
