//! Dockerfile text: read without an engine, changed without touching what stays.
//!
//! [`parse`] gives the instructions as they were written, with the bytes that each stands in. What they mean is for
//! those who read them.

mod arguments;
mod case;
mod csv;
mod device;
mod directive;
mod error;
pub mod expand;
mod flags;
mod form;
mod heredoc;
pub mod instruction;
mod json;
mod lex;
mod lines;
pub mod mount;
mod parse;
mod part;
mod pattern;
mod statement;
mod values;
mod words;

pub use instruction::{Dockerfile, Instruction, Item};
pub use parse::{SyntaxError, parse};

#[cfg(test)]
mod tests;
