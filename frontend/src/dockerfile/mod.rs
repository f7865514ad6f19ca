//! Dockerfile text: read without an engine, changed without touching what stays.
//!
//! [`parse`] gives the instructions as they were written, with the bytes that each stands in. What they mean – stages,
//! arguments, the graph – is for [`read`].

mod arguments;
mod case;
mod checks;
mod comments;
mod csv;
mod device;
mod directive;
mod error;
mod evaluate;
pub mod expand;
mod flags;
mod form;
mod heredoc;
pub mod instruction;
mod json;
mod keyword;
mod lex;
mod lines;
pub mod mount;
mod parse;
mod part;
mod paths;
mod pattern;
mod platform;
mod policies;
mod read;
mod span;
mod stage;
mod state;
mod statement;
mod values;
mod words;
mod write;

#[cfg(feature = "gateway")]
pub(crate) use checks::CHECK_ARGUMENT;
pub use checks::checks;
pub use comments::{Comment, Comments};
pub use instruction::{Dockerfile, Instruction, Span};
pub use parse::{SyntaxError, parse, syntax_line};
pub use platform::{Platform, PlatformError};
pub use policies::{comments, policies};
pub use read::{BuildError, Options, Position, read};
pub use write::{Edit, RewriteError, Rewritten, WriteError, rewrite};

#[cfg(test)]
mod tests;
