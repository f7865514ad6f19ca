//! What developers of ci-build run, as a library: real Docker engines out of Debian packages ([`engines`]) and base
//! images without a registry ([`images`]).
//!
//! `cargo xtask` is a thin shell over it; the engine tests call it directly.

mod command;
pub mod engines;
pub mod images;
mod poll;
