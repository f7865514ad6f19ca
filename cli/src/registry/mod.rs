//! Registries: who we are to them, what we get from them, and what we send there.
//!
//! - [`Reference`], [`Mirror`], [`Source`]: what is wanted, and where it can come from, as data,
//! - [`Walk`], [`Retry`], [`Limits`]: who is asked next, when again, and what a source has to prove, as pure functions,
//! - [`Client`]: one registry,
//! - [`Sources`]: manifests and blobs from whichever source has them,
//! - [`Copier`]: images from one registry to the other,
//! - [`push()`]: sending the frontend's image there.

mod answer;
mod catalog;
mod client;
mod copy;
mod credentials;
mod dated;
mod examine;
mod failure;
mod fetch;
mod login;
mod manifest;
mod part;
mod probe;
mod push;
mod reference;
mod retry;
mod select;
mod source;
mod transport;
mod walk;

pub use answer::Allowance;
pub use catalog::Removal;
pub use client::Client;
pub use copy::{Copied, Copier, CopyError, Repository, Sum};
pub use credentials::{CredentialsError, password_for};
pub use dated::{Dated, DatedError};
pub use examine::{Examination, examine};
pub use failure::Failure;
pub use fetch::{Event, Exhausted, Sources, Tried, Watch};
pub(crate) use login::basic;
pub use manifest::{Content, Descriptor, Manifest, Platform};
pub use part::Part;
pub use probe::{Limits, Probe};
pub use push::{PushError, push};
pub use reference::{Reference, ReferenceError, Target};
pub use retry::{Retry, Verdict, verdict};
pub use select::{Extent, TagPattern, Tagged};
pub use source::{Address, Mirror, MirrorError, Scheme, Source, chain, origin};
pub use transport::Transport;
pub use walk::{Step, Walk};
