//! What the engine tests share: an engine with the frontend in it, and what the tests measured.

mod layers;
mod measured;
mod subject;

pub use layers::layers;
pub use measured::{Measured, Runs};
pub use subject::{Subject, dockerfile};
