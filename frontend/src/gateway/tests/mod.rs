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

/// Every definition of testdata.
fn all_captured() -> Vec<Vec<u8>> {
    let mut directories = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/llb")];
    let mut found = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).expect("it is testdata") {
            let path = entry.expect("it is testdata").path();
            if path.is_dir() {
                directories.push(path);
            } else {
                found.push(std::fs::read(path).expect("it is testdata"));
            }
        }
    }
    found
}
