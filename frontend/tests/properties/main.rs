//! What always holds of splicing.

#![expect(clippy::unwrap_used, reason = "all of this is test, but clippy knows test functions alone")]

mod definition;
mod message;
mod splice;
mod wire;
