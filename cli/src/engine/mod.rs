//! The Docker engine: where it is, and what it does for us.

mod build_cache;
mod containers;
mod docker;
mod endpoint;
mod events;
mod host;
mod images;
mod networks;
mod owned;
mod raw;
mod volumes;

pub use build_cache::CacheRecord;
pub use containers::{Container, OWNER_LABEL};
pub use docker::{Engine, Error};
pub use endpoint::{Endpoint, EndpointError};
pub use events::{Event, Subject};
pub use host::Host;
pub use images::{Deletion, StoredImage};
pub use networks::Network;
pub use owned::OwnedContainer;
pub use volumes::Volume;

use jiff::Timestamp;

/// A time as the engine writes it (RFC 3339); none where it writes none, which is the year 1.
fn time(text: Option<&str>) -> Option<Timestamp> {
    text?.parse().ok().filter(|time: &Timestamp| time.as_second() > 0)
}
