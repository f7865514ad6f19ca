//! The BuildKit frontend: a process that the engine starts for a build and talks gRPC with over stdin and stdout.
//!
//! It lets the engine's own `dockerfile.v0` lower the Dockerfile, reads the definitions that come back, plans, writes,
//! and has the changed definitions solved in their place.

mod build;
mod client;
mod error;
mod inner;
mod lint;
mod messages;
mod no_cache;
mod nonce;
mod notices;
mod options;
mod prime;
mod result;
mod source;
mod transport;

#[cfg(test)]
mod tests;

use std::process::ExitCode;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::llb::PRIME;
use transport::connect;

pub use build::{Solvable, build, definitions, solve, unchanged};
pub use client::Client;
pub use error::GatewayError;
pub use options::{Options, OptionsError, Subrequest};
#[doc(hidden)]
pub use result::fuzzing;

/// Serves one build on this process's stdin and stdout, and gives the process's exit code. `handle` makes an encoded
/// `Result`: [`build`] is the frontend itself.
///
/// What goes wrong with the build is returned to the engine, which shows it to the user; only what cannot be returned
/// is printed, and ends with 125.
///
/// With the argument [`PRIME`](crate::llb::PRIME) it makes the mountpoints that are named behind it, and that is all.
#[must_use]
pub fn run(handle: impl AsyncFnOnce(&Client, &Options) -> Result<Vec<u8>, GatewayError>) -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|argument| argument == PRIME) {
        prime::make(arguments);
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    let served = match runtime {
        Ok(runtime) => runtime.block_on(async {
            let stdio = transport::stdio()
                .map_err(|error| format!("stdin and stdout are not an engine's: {error}"))?;
            let variables = std::env::vars_os();
            serve(stdio, Options::from_environment(variables), handle).await
        }),
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

/// Serves one build over `stream`: the result of `handle`, or the error, is returned to the engine.
///
/// # Errors
/// The engine does not answer, or does not take what is returned.
pub async fn serve(
    stream: impl AsyncRead + AsyncWrite + Send + 'static,
    options: Result<Options, OptionsError>,
    handle: impl AsyncFnOnce(&Client, &Options) -> Result<Vec<u8>, GatewayError>,
) -> Result<(), String> {
    let client = connect(stream).await.map_err(|error| format!("the engine does not answer: {error}"))?;
    let handled = match options {
        Ok(options) => handle(&client, &options).await,
        Err(error) => Err(error.into()),
    };
    let told = match handled {
        Ok(result) => client.return_result(result).await,
        Err(error) => client.return_error(error.to_status()).await,
    };
    told.map_err(|status| format!("the engine does not take the result: {}", status.message()))
}
