//! A frontend that builds nothing: its result is a directory with the definitions that `dockerfile.v0` made of the
//! build, as `0.pb`, `1.pb` and so on, one a platform in the order of their names. `cargo xtask capture` fills
//! `testdata/llb` with it.

use std::process::ExitCode;

use ci_build_frontend::gateway::{self, Client, GatewayError, Options};
use ci_build_frontend::llb::Digest;
use ci_build_frontend::llb::wire::{encode_bytes, encode_varint};

fn main() -> ExitCode {
    gateway::run(capture)
}

async fn capture(client: &Client, options: &Options) -> Result<Vec<u8>, GatewayError> {
    let mut solvables = gateway::definitions(client, options).await?;
    solvables.sort_by(|a, b| a.platform.cmp(&b.platform));
    let definitions: Vec<_> = solvables.into_iter().map(|solvable| solvable.definition).collect();
    gateway::solve(client, options, files(&definitions)).await
}

/// The definition of a `FileOp` that makes one file of each of `contents` on an empty root (field numbers:
/// `solver/pb/ops.proto`).
fn files(contents: &[Vec<u8>]) -> Vec<u8> {
    let action = |(number, data): (usize, &Vec<u8>)| {
        let input = if number == 0 { -1 } else { number as i64 - 1 };
        let output = if number + 1 == contents.len() { 0 } else { -1 };
        let path = format!("/{number}.pb");
        let file =
            [encode_bytes(1, path.as_bytes()), encode_varint(2, 0o644), encode_bytes(3, data)].concat();
        let numbers = [input, -1, output].into_iter().zip(1..);
        let numbers = numbers.flat_map(|(value, field)| encode_varint(field, value as u64));
        encode_bytes(2, &numbers.chain(encode_bytes(5, &file)).collect::<Vec<u8>>())
    };
    let actions: Vec<u8> = contents.iter().enumerate().flat_map(action).collect();
    let step = encode_bytes(4, &actions);
    let root = encode_bytes(1, &encode_bytes(1, Digest::of(&step).as_str().as_bytes()));
    [encode_bytes(1, &step), encode_bytes(1, &root)].concat()
}
