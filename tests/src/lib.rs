//! What the engine tests share: an engine with the frontend in it, and what the tests measured.

mod files;
mod measured;
mod subject;

pub use files::files;
pub use measured::{Measured, Runs};
pub use subject::{Subject, dockerfile};
