//! Writes the pages of docs/ that are made of the command itself: `cargo run -p ci-build --example docs`.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    for (name, text) in ci_build::pages() {
        std::fs::write(docs.join(name), text)?;
    }
    Ok(())
}
