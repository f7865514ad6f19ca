//! What the engine tests share, an engine with the frontend in it, and a proxy in front of one; a containerd; the host command with a state of its own;
//! the hazard laboratory; the prune and the recovery laboratory; the soak; the storm; the sweep
//! laboratory; and the differential suite.

pub mod containerd;
pub mod copies;
pub mod definition;
pub mod differential;
pub mod durations;
mod files;
pub mod host;
pub mod lab;
pub mod proxy;
pub mod prunes;
pub mod pulls;
mod random;
pub mod recovery;
pub mod results;
pub mod soak;
pub mod storm;
mod subject;
pub mod sweeps;

pub use files::files;
pub use subject::{Subject, dockerfile};
