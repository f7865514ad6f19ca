//! What the engine tests share, an engine with the frontend in it; the hazard laboratory; and the differential suite.

pub mod differential;
pub mod lab;
mod subject;

pub use subject::{Subject, dockerfile};
