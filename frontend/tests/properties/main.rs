//! What always holds: of splicing, of plans, and of the two together.

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
