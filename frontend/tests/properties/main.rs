//! What always holds of splicing.

#![expect(clippy::unwrap_used, reason = "all of this is test, but clippy knows test functions alone")]
#![allow(dead_code, reason = "whole definitions come next")]

mod message;
mod wire;
