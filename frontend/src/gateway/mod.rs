//! The BuildKit frontend: a process that the engine starts for a build and talks gRPC with over stdin and stdout.
//!
//! It lets the engine's own `dockerfile.v0` lower the Dockerfile, reads the definitions that come back, plans, writes,
//! and has the changed definitions solved in their place.

mod build;
mod client;
mod error;
mod inner;
mod messages;
mod notices;
mod options;
mod result;
mod transport;

use std::process::ExitCode;

pub use build::build;
pub use client::Client;
pub use error::GatewayError;
pub use options::{Options, OptionsError};
#[doc(hidden)]
pub use result::fuzzing;
pub use transport::connect;

/// Serves one build on this process's stdin and stdout, and gives the process's exit code.
///
/// What goes wrong with the build is returned to the engine, which shows it to the user; only what cannot be returned
/// is printed, and ends with 125.
#[must_use]
pub fn run() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    let served = match runtime {
        Ok(runtime) => runtime.block_on(serve()),
        Err(error) => Err(error.to_string()),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            eprintln!("  help: this program is a BuildKit frontend: name its image in a `# syntax=` line");
            ExitCode::from(125)
        }
    }
}

async fn serve() -> Result<(), String> {
    let stdio =
        transport::stdio().map_err(|error| format!("stdin and stdout are not an engine's: {error}"))?;
    let client = connect(stdio).await.map_err(|error| format!("the engine does not answer: {error}"))?;
    let returned = match Options::from_environment(std::env::vars_os()) {
        Ok(options) => build(&client, &options).await,
        Err(error) => Err(error.into()),
    };
    let told = match returned {
        Ok(result) => client.return_result(result).await,
        Err(error) => client.return_error(error.to_status()).await,
    };
    told.map_err(|status| format!("the engine does not take the result: {}", status.message()))
}
