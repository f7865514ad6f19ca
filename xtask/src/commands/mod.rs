//! One file a command of `cargo xtask`.

pub(crate) mod engines;
