//! What the engine tests share, an engine with the frontend in it; and the hazard laboratory.

pub mod lab;
mod measured;
mod subject;

pub use measured::{Measured, Runs};
pub use subject::{Subject, dockerfile};
