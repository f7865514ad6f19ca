//! Dockerfile text: read without an engine, changed without touching what stays.
//!
//! [`parse`] gives the instructions as they were written, with the bytes that each stands in. What they mean – stages,
//! arguments, the graph – is for [`read`].

mod evaluate;
pub mod expand;
pub mod instruction;
pub mod mount;
mod parse;
mod platform;
mod read;
mod stage;

pub use instruction::{Dockerfile, Instruction, Item};
pub use parse::{SyntaxError, parse};
pub use platform::{Platform, PlatformError};
pub use read::{BuildError, Options, Place, read};
