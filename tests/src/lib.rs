//! What the engine tests share, an engine with the frontend in it; and the hazard laboratory.

mod files;
pub mod lab;
mod subject;

pub use files::files;
pub use subject::{Subject, dockerfile};
