//! A registry: who we are to it, and what we send there.

mod credentials;
mod push;
mod transport;

pub use credentials::{CredentialsError, credentials_for};
pub use push::{PushError, push};
pub use transport::Transport;
