//! How long something took, for people.

use std::time::Duration;

/// A time as people read it: whole seconds, or milliseconds where it is less than one.
pub(crate) fn shown(time: Duration) -> String {
    let exact = if time < Duration::from_secs(1) {
        Duration::from_millis(u64::from(time.subsec_millis()))
    } else {
        Duration::from_secs(time.as_secs())
    };
    jiff::SignedDuration::try_from(exact).map_or_else(|_| "ever".into(), |time| format!("{time:#}"))
}
