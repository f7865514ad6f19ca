//! What the engine tests share, an engine with the frontend in it; the host command with a state of its own; the
//! hazard laboratory; the recovery laboratory; the soak; and the differential suite.

pub mod differential;
mod files;
pub mod host;
pub mod lab;
pub mod recovery;
pub mod results;
pub mod soak;
mod subject;

pub use files::files;
pub use subject::{Subject, dockerfile};
