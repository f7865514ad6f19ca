//! The host command; everything is in the library, where tests and `xtask` reach it too.
use std::process::ExitCode;

fn main() -> ExitCode {
    ci_build::run(std::env::args_os())
}
