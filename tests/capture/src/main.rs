//! A frontend that builds nothing: its result is a directory with the definitions that `dockerfile.v0` made of the
//! build, as `0.pb`, `1.pb` and so on, one a platform in the order of their names. `cargo xtask capture` fills
//! `testdata/llb` with it.
//!
//! With `upstream=IMAGE` behind its own name, it also asks that frontend, in the same build, and adds the definitions
//! that it solved, as `upstream-0.pb` and so on. So the differential suite holds ours beside upstream's, byte by byte.

use std::process::ExitCode;

use ci_build_frontend::gateway::{self, Client, GatewayError, Options};
use ci_build_frontend::llb::Digest;
use ci_build_frontend::llb::wire::{encode_bytes, encode_varint};

fn main() -> ExitCode {
    gateway::run(capture)
}

async fn capture(client: &Client, options: &Options) -> Result<Vec<u8>, GatewayError> {
    let mut captured = of(client, &own()?, "").await?;
    if options.choices().upstream.is_some() {
        captured.extend(of(client, options, "upstream-").await?);
    }
    gateway::solve(client, options, files(&captured)).await
}

/// The options as if the syntax line held nothing but the name of this frontend.
fn own() -> Result<Options, GatewayError> {
    let variables = std::env::vars_os().map(|(name, value)| {
        let line = value.to_str().and_then(|value| value.strip_prefix("cmdline="));
        let line = line.and_then(|line| line.split_whitespace().next());
        let value = line.map(|image| format!("cmdline={image}").into()).unwrap_or(value);
        (name, value)
    });
    Ok(Options::from_environment(variables)?)
}

/// The names and contents of a frontend's files.
async fn of(
    client: &Client,
    options: &Options,
    prefix: &str,
) -> Result<Vec<(String, Vec<u8>)>, GatewayError> {
    let mut solvables = gateway::definitions(client, options).await?;
    solvables.sort_by(|a, b| a.platform.cmp(&b.platform));
    let named = solvables.into_iter().zip(0..);
    Ok(named.map(|(solvable, number)| (format!("/{prefix}{number}.pb"), solvable.definition)).collect())
}

/// The definition of a `FileOp` that makes the files on an empty root (field numbers: `solver/pb/ops.proto`).
fn files(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let action = |(number, (path, data)): (usize, &(String, Vec<u8>))| {
        let input = if number == 0 { -1 } else { number as i64 - 1 };
        let output = if number + 1 == files.len() { 0 } else { -1 };
        let file =
            [encode_bytes(1, path.as_bytes()), encode_varint(2, 0o644), encode_bytes(3, data)].concat();
        let numbers = [input, -1, output].into_iter().zip(1..);
        let numbers = numbers.flat_map(|(value, field)| encode_varint(field, value as u64));
        encode_bytes(2, &numbers.chain(encode_bytes(5, &file)).collect::<Vec<u8>>())
    };
    let actions: Vec<u8> = files.iter().enumerate().flat_map(action).collect();
    let step = encode_bytes(4, &actions);
    let root = encode_bytes(1, &encode_bytes(1, Digest::of(&step).as_str().as_bytes()));
    [encode_bytes(1, &step), encode_bytes(1, &root)].concat()
}
