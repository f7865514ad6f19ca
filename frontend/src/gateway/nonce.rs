//! What no other build has.

use std::hash::{BuildHasher as _, RandomState};

/// 128 bits that nobody can guess: the hasher's keys are the system's random numbers.
pub(super) fn nonce() -> String {
    format!("{:016x}{:016x}", RandomState::new().hash_one(0), RandomState::new().hash_one(1))
}
