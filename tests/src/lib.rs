//! What the engine tests share, an engine with the frontend in it; the hazard laboratory; the prune
//! laboratory; and the differential suite.

pub mod copies;
pub mod definition;
pub mod differential;
mod files;
pub mod host;
pub mod lab;
pub mod prunes;
pub mod pulls;
pub mod results;
pub mod soak;
mod subject;

pub use files::files;
pub use subject::{Subject, dockerfile};
