//! What always holds: of splicing, of plans, and of the two together.
//!
//! `PROPTEST_CASES=2048 cargo test --release -p ci-build-frontend --test properties` tries more cases.

#![expect(clippy::unwrap_used, reason = "all of this is test, but clippy knows test functions alone")]

mod build;
mod deadlock;
mod definition;
mod keep;
mod message;
mod picture;
mod plan;
mod splice;
#[path = "../support/mod.rs"]
mod support;
mod waits;
mod wire;

use proptest::test_runner::Config;

/// So many cases, which are drawn anew in each run, unless the environment asks for another number.
fn cases(usual: u32) -> Config {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    Config::with_cases(asked.unwrap_or(usual))
}
