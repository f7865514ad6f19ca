//! What a registry's answers say: bodies, headers, errors.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use reqwest::Response;
use reqwest::header::{self, HeaderMap};

use super::failure::Failure;
use super::probe::Limits;
use crate::image::Digest;

/// Nothing asks to be left alone for longer: whatever ends the command comes before.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// An error message longer than this, in bytes, is no message.
const LONGEST_ERROR: usize = 16 << 10;

/// How many more pulls a registry allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// How many are left.
    pub left: u64,
    /// Of how many.
    pub of: Option<u64>,
    /// In which time.
    pub window: Option<Duration>,
}

/// The answer to a request, if it begins in time.
pub(super) async fn first_byte<T>(
    limits: Limits,
    answer: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let late = Failure::FirstByte { limit: limits.first_byte };
    tokio::time::timeout(limits.first_byte, answer).await.unwrap_or(Err(late))
}

/// A whole body of at most this many bytes, if all of it comes within this time.
pub(super) async fn small_body(
    mut response: Response,
    most: usize,
    limit: Duration,
) -> Result<Bytes, Failure> {
    let whole = async {
        let mut bytes = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| Failure::of(&error))? {
            if bytes.len() + chunk.len() > most {
                return Err(Failure::Malformed(format!("an answer of more than {most} bytes")));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.freeze())
    };
    tokio::time::timeout(limit, whole).await.unwrap_or(Err(Failure::Stalled { limit }))
}

/// What an answer that is no success says.
pub(super) async fn refused(response: Response) -> Failure {
    const PATIENCE: Duration = Duration::from_secs(5);
    let (status, retry_after) = (response.status(), retry_after(response.headers(), Timestamp::now()));
    let body = small_body(response, LONGEST_ERROR, PATIENCE).await.unwrap_or_default();
    let said = said(&body).unwrap_or_else(|| status.canonical_reason().unwrap_or_default().to_lowercase());
    Failure::Status { code: status.as_u16(), said, retry_after }
}

/// The messages in an envelope of errors by the distribution specification.
fn said(body: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Envelope {
        errors: Vec<Entry>,
    }
    #[derive(serde::Deserialize)]
    struct Entry {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let envelope: Envelope = serde_json::from_slice(body).ok()?;
    let words = |entry: Entry| if entry.message.is_empty() { entry.code } else { entry.message };
    let said: Vec<String> =
        envelope.errors.into_iter().map(words).filter(|words| !words.is_empty()).collect();
    let said: String = said.join(", ").chars().filter(|c| !c.is_control()).take(200).collect();
    (!said.is_empty()).then_some(said)
}

pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

pub(super) fn told_digest(headers: &HeaderMap) -> Option<Digest> {
    text(headers, "docker-content-digest")?.parse().ok()
}

/// `Retry-After`, in seconds or as a date (RFC 9110); else when the window of a rate limit ends, if none is left of it.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let told = text(headers, header::RETRY_AFTER.as_str()).and_then(|value| {
        if let Ok(seconds) = value.trim().parse() {
            return Some(Duration::from_secs(seconds));
        }
        let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value.trim()).ok()?;
        Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
    });
    let reset = || Some(Duration::from_secs(text(headers, "ratelimit-reset")?.trim().parse().ok()?));
    told.or_else(reset).map(|after| after.min(LONGEST_PAUSE))
}

/// `RateLimit-Limit: 100;w=21600` and `RateLimit-Remaining: 76;w=21600`.
pub(super) fn allowance(headers: &HeaderMap) -> Option<Allowance> {
    let number = |value: &str| value.split([';', ',']).next()?.trim().parse::<u64>().ok();
    let remaining = text(headers, "ratelimit-remaining")?;
    let window = remaining.split(';').find_map(|part| part.trim().strip_prefix("w=")?.parse().ok());
    Some(Allowance {
        left: number(remaining)?,
        of: text(headers, "ratelimit-limit").and_then(number),
        window: window.map(Duration::from_secs),
    })
}

/// The address in `Link: </v2/…>; rel="next"`.
pub(super) fn next_page(link: &str) -> Option<&str> {
    let (address, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
    rest.contains("next").then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (name.parse::<header::HeaderName>().unwrap(), value.parse().unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn how_long_to_wait_is_read_as_seconds_or_as_a_date() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let after = |pairs: &[(&str, &str)]| retry_after(&headers(pairs), now).map(|time| time.as_secs());
        assert_eq!(after(&[("retry-after", "7")]), Some(7));
        assert_eq!(after(&[("retry-after", "Sat, 21 Nov 2026 12:01:00 GMT")]), Some(60));
        assert_eq!(after(&[("retry-after", "Sat, 21 Nov 2026 11:00:00 GMT")]), Some(0), "it is over");
        assert_eq!(after(&[("retry-after", "99999999999")]), Some(24 * 60 * 60));
        assert_eq!(after(&[("ratelimit-reset", "30")]), Some(30));
        assert_eq!(after(&[("retry-after", "soon")]), None);
    }

    #[test]
    fn what_is_left_of_a_rate_limit_is_read() {
        let told = [("ratelimit-limit", "100;w=21600"), ("ratelimit-remaining", "76;w=21600")];
        let allowance = allowance(&headers(&told)).unwrap();
        assert_eq!((allowance.left, allowance.of), (76, Some(100)));
        assert_eq!(allowance.window, Some(Duration::from_secs(21_600)));
    }

    #[test]
    fn a_registry_is_quoted_without_its_details() {
        let body = br#"{"errors":[{"code":"DENIED","message":"not\u001b yours","detail":{"long":"story"}},{"code":"X"}]}"#;
        assert_eq!(said(body).unwrap(), "not yours, X");
        assert_eq!(said(b"<html>"), None);
    }

    #[test]
    fn lists_of_tags_may_have_many_pages() {
        assert_eq!(next_page(r#"</v2/a/tags/list?last=b>; rel="next""#), Some("/v2/a/tags/list?last=b"));
        assert_eq!(next_page("nonsense"), None);
    }
}
