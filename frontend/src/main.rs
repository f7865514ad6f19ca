//! The gateway binary: see [`ci_build_frontend::gateway`].

fn main() -> std::process::ExitCode {
    ci_build_frontend::gateway::run()
}
