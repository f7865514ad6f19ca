//! What developers of ci-build run, as a library: real Docker engines out of Debian packages ([`engines`]) and base
//! images without a registry ([`images`]).
//!
//! It builds what the workspace makes ([`artifacts`]) and runs builds with it ([`build`]).
//!
//! `cargo xtask` is a thin shell over it; the engine tests call it directly.

pub mod artifacts;
pub mod build;
pub mod client;
pub mod command;
pub mod compose;
pub mod containerd;
pub mod emulation;
pub mod engines;
pub mod images;
pub mod machine;
pub mod package;
pub mod peers;
pub mod poll;
pub mod registry;
pub mod workspace;
