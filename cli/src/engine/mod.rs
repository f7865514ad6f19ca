//! The Docker engine: where it is, and what it does for us.

mod docker;
mod endpoint;
mod images;

pub use docker::{Engine, Error};
pub use endpoint::{Endpoint, EndpointError};
pub use images::{Account, Found};
