//! Builds over a connection whose other end is a test: see [`engine`].

mod bad_input;
mod engine;
mod lint;
mod ops;
mod text;
mod wrapper;

use std::path::Path;

/// A definition as an engine gave it: `docker-28.5/none/stages`.
fn captured(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/llb").join(name).with_extension("pb");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
