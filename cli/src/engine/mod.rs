//! The Docker engine: where it is, and what it does for us; and containerd without it.

mod build_cache;
pub mod containerd;
mod containers;
mod docker;
mod endpoint;
mod events;
mod images;
mod info;
mod networks;
mod owned;
mod pull;
mod raw;
mod volumes;

pub use build_cache::CacheRecord;
pub use containers::{Container, OWNER_LABEL};
pub use docker::{Engine, Error, answered};
pub use endpoint::{Endpoint, EndpointError};
pub use events::{Event, Subject};
pub use images::{Deletion, StoredImage};
pub use info::{Builder, ImageStore, Info};
pub use networks::Network;
pub use owned::{Inherited, OwnedContainer};
pub use pull::{Account, Found};
pub use volumes::{OwnedVolume, Volume};

use jiff::Timestamp;

/// A time as the engine writes it (RFC 3339); none where it writes none, which is the year 1.
fn time(text: Option<&str>) -> Option<Timestamp> {
    text?.parse().ok().filter(|time: &Timestamp| time.as_second() > 0)
}
