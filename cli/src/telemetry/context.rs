//! Which trace a span is in, and how that is told from process to process: W3C's Trace Context, level 1.

use std::fmt;
use std::str::FromStr;

/// What a process is told of the span that it is a part of.
pub(super) const VARIABLE: &str = "TRACEPARENT";

/// A trace: the spans of one job, of whatever program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TraceId(u128);

/// A span in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SpanId(u64);

impl TraceId {
    /// A new one. Zero is none.
    pub(super) fn new() -> Self {
        Self(fastrand::u128(1..))
    }
}

impl SpanId {
    /// A new one. Zero is none.
    pub(super) fn new() -> Self {
        Self(fastrand::u64(1..))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The span that what follows is a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parent {
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
}

/// What `TRACEPARENT` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// We are a part of this span.
    In(Parent),
    /// We are a part of a trace that nobody keeps.
    Unsampled,
}

/// It is no trace context that we know.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

impl FromStr for Told {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let mut parts = text.trim().split('-');
        let mut part = |length: usize| {
            let is_hex = |part: &&str| {
                part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            };
            parts.next().filter(is_hex).ok_or(Unreadable)
        };
        let (version, trace, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        // A later version may have more to say, and begins as this one.
        if version == "ff" || (version == "00" && parts.next().is_some()) {
            return Err(Unreadable);
        }
        let trace = u128::from_str_radix(trace, 16).ok().filter(|&trace| trace != 0).ok_or(Unreadable)?;
        let span = u64::from_str_radix(span, 16).ok().filter(|&span| span != 0).ok_or(Unreadable)?;
        let flags = u8::from_str_radix(flags, 16).map_err(|_| Unreadable)?;
        let parent = Parent { trace: TraceId(trace), span: SpanId(span) };
        Ok(if flags & 1 == 1 { Self::In(parent) } else { Self::Unsampled })
    }
}

impl fmt::Display for Parent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-01", self.trace, self.span)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_context_is_read_as_w3c_writes_it() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let Ok(Told::In(parent)) = text.parse() else { panic!("unread") };
        assert_eq!(parent.to_string(), text);
        let read = |text: &str| text.parse::<Told>();
        assert_eq!(read(&text.replace("-01", "-00")), Ok(Told::Unsampled));
        assert_eq!(read(&text.replacen("00-", "cc-", 1).replace("-01", "-01-more")), Ok(Told::In(parent)));
        for wrong in ["", "00", "00-0-0-0", &text.to_uppercase(), &format!("{text}-more")] {
            assert_eq!(read(wrong), Err(Unreadable), "{wrong}");
        }
        assert_eq!(read("00-00000000000000000000000000000000-00f067aa0ba902b7-01"), Err(Unreadable));
        assert_eq!(read(&text.replacen("00-", "ff-", 1)), Err(Unreadable));
    }

    proptest! {
        #[test]
        fn what_is_passed_on_is_read(trace in 1u128.., span in 1u64..) {
            let parent = Parent { trace: TraceId(trace), span: SpanId(span) };
            prop_assert_eq!(parent.to_string().parse(), Ok(Told::In(parent)));
        }

        #[test]
        fn nothing_that_is_told_panics(text in "\\PC{0,80}") {
            let _ = text.parse::<Told>();
        }
    }
}
