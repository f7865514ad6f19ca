//! What goes wrong, and with what.

use std::time::Duration;

/// Which requests something goes wrong with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum On {
    /// Those to read a manifest.
    Manifest,
    /// Those to read a blob.
    Blob,
    /// Those for a list of tags.
    Tags,
    /// Those that send a part of a blob.
    Patch,
    /// Those that end an upload, or send a manifest.
    Put,
    /// Those that delete.
    Delete,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The answer is this status.
    Status(u16),
    /// The answer is this status, and asks to be left alone for so many seconds.
    RetryAfter(u16, u64),
    /// The connection is reset in the middle of the body.
    Reset,
    /// The connection is closed in the middle of the body.
    Truncated,
    /// The body has as many bytes as it should, but one of them is wrong.
    Wrong,
    /// The body comes at so many bytes a second.
    Drip(u64),
    /// The answer comes after this time.
    Late(Duration),
    /// The request is not read, and never answered.
    Silent,
    /// No token is good any more, neither for this request.
    LoginEnds,
    /// The answer points to itself.
    Loop,
    /// The answer points to a server that should have TLS and has not.
    NoTls,
}

impl Fault {
    /// All of them but those with a status, as the tests' matrix has them.
    pub const OF_TRANSPORT: [Self; 7] = [
        Self::Reset,
        Self::Truncated,
        Self::Wrong,
        Self::Drip(1000),
        Self::Late(Duration::from_secs(60)),
        Self::Loop,
        Self::NoTls,
    ];
}
