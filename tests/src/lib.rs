//! What the engine tests share, an engine with the frontend in it; and the hazard laboratory.

pub mod lab;
mod subject;

pub use subject::{Subject, dockerfile};
