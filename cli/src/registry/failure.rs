//! How one request, or one transfer, of a source fails.

use std::fmt;
use std::time::Duration;

use bytesize::ByteSize;

use crate::image::Digest;
use crate::lapse::shown;

/// Why a source did not give what it was asked for. It shows in a few words, to stand behind the source's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It answered with an error.
    Status {
        /// The HTTP status.
        code: u16,
        /// What it says about it.
        said: String,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// It takes no connection.
    Unreachable(String),
    /// The TLS handshake fails.
    Tls(String),
    /// It sends us round in circles, or nowhere.
    Redirects,
    /// The connection broke.
    Broken(String),
    /// The connection ended early.
    Truncated {
        /// The bytes that came.
        got: u64,
        /// The bytes that should have come.
        expected: u64,
    },
    /// The content is not what was asked for.
    WrongDigest {
        /// What was asked for.
        expected: Digest,
        /// What came.
        got: Digest,
    },
    /// Parts that came from different sources do not make the whole. Which of them is wrong cannot be told.
    WrongParts,
    /// The answer makes no sense.
    Malformed(String),
    /// The first byte took too long.
    FirstByte {
        /// What was asked of it.
        limit: Duration,
    },
    /// It is too slow.
    Slow {
        /// Bytes a second that came.
        rate: u64,
        /// What was asked of it.
        floor: u64,
        /// Over this time.
        window: Duration,
    },
    /// It stopped sending.
    Stalled {
        /// For this long.
        limit: Duration,
    },
    /// It let us in no longer while we sent what cannot be sent again; with a new login it will.
    LoginEnded,
    /// Docker's credentials for it are not to be had.
    Credentials(String),
    /// What came cannot be kept here.
    Disk(String),
}

impl Failure {
    /// Whether it would give it, but too slowly.
    pub fn is_slowness(&self) -> bool {
        matches!(self, Self::FirstByte { .. } | Self::Slow { .. } | Self::Stalled { .. })
    }

    /// Whether it says that there is no such thing.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::Status { code: 404, .. })
    }

    /// What an HTTP library's error means.
    pub(super) fn of(error: &reqwest::Error) -> Self {
        let text = innermost(error);
        if error.is_redirect() {
            return Self::Redirects;
        }
        if !error.is_connect() {
            return Self::Broken(text);
        }
        let mut causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
        if causes.any(is_tls) { Self::Tls(text) } else { Self::Unreachable(text) }
    }
}

/// Whether it is an error of rustls, which comes inside of the operating system's, more than once.
fn is_tls(cause: &(dyn std::error::Error + 'static)) -> bool {
    let inner = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    cause.is::<rustls::Error>() || inner.is_some_and(|inner| is_tls(inner))
}

/// What is at the bottom of an error; what lies above are the layers of libraries.
fn innermost(error: &dyn std::error::Error) -> String {
    let last = std::iter::successors(error.source(), |cause| cause.source()).last();
    last.map_or_else(|| error.to_string(), ToString::to_string)
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = |rate: u64| format!("{}/s", ByteSize(rate).display().iec());
        match self {
            Self::Status { code, said, retry_after } => {
                write!(f, "{code}")?;
                if !said.is_empty() {
                    write!(f, " {said}")?;
                }
                retry_after.map_or(Ok(()), |after| write!(f, ", asks to wait {}", shown(after)))
            }
            Self::Unreachable(why) => write!(f, "cannot be reached: {why}"),
            Self::Tls(why) => write!(f, "no TLS: {why}"),
            Self::Redirects => f.write_str("redirects in circles"),
            Self::Broken(why) => write!(f, "the connection broke: {why}"),
            Self::Truncated { got, expected } => write!(f, "{got} bytes instead of {expected}"),
            Self::WrongDigest { got, .. } => write!(f, "wrong content, with the digest {got}"),
            Self::WrongParts => f.write_str("the parts from several sources do not make the whole"),
            Self::Malformed(what) => write!(f, "makes no sense: {what}"),
            Self::FirstByte { limit } => write!(f, "no first byte within {}", shown(*limit)),
            Self::Slow { rate: got, floor, window } => {
                write!(f, "{} over {}, below {}", rate(*got), shown(*window), rate(*floor))
            }
            Self::Stalled { limit } => write!(f, "no byte for {}", shown(*limit)),
            Self::LoginEnded => f.write_str("the login had ended, and is renewed"),
            Self::Credentials(why) => f.write_str(why),
            Self::Disk(why) => write!(f, "cannot be kept: {why}"),
        }
    }
}
