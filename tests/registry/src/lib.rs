//! A registry on the loopback that fails as it is told to, for tests. All of it is in memory; it speaks the distribution
//! specification well enough for engines and for the usual tools to pull from it and push to it.
//!
//! ```no_run
//! use ci_build_test_registry::{Fault, Image, On, Registry};
//!
//! let registry = Registry::start()?;
//! registry.put("library/app", "1", &Image::new(1, 3, 100_000));
//! registry.fault(On::Blob, Fault::Reset);
//! // docker pull 127.0.0.1:PORT/library/app:1, and then:
//! assert!(registry.requests().iter().any(|request| request.path.contains("/blobs/")));
//! # Ok::<(), std::io::Error>(())
//! ```

mod fault;
mod image;
mod login;
mod route;
mod serve;
mod state;

pub use fault::{Fault, On};
pub use image::Image;
pub use serve::Registry;
pub use state::Request;
