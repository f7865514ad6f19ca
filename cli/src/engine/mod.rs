//! The Docker engine: where it is, and what it does for us; and containerd without it.

pub mod containerd;
mod docker;
mod endpoint;
mod images;

mod info;

pub use docker::{Engine, Error};
pub use endpoint::{Endpoint, EndpointError};
pub use images::{Account, Found};
pub use info::{Builder, ImageStore, Info};
