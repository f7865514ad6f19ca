//! What a project may say.
//!
//! Its file is read by whoever runs a command in a checkout, root among them, and was written by somebody else. So it may
//! say how its own Dockerfiles are read and built and how long its jobs wait, and nothing about the host: not what is
//! deleted there, not which lock keeps others away, not where something is written, not where images come from.

/// For each command (`lease add`) the keys that a project may set. A command or key that is not here is the host's.
const ALLOWED: [(&str, &[&str]); 7] = [
    ("build", &["policy", "scope", "wait"]),
    ("check", &["build-arg", "fail-on", "format", "platform", "target"]),
    ("lease add", &["ttl"]),
    ("lock", &["polite", "wait"]),
    ("plan", &["build-arg", "format", "platform", "policy", "scope", "target"]),
    ("pull", &["days", "deadline", "fresh", "platform", "ttl", "wait"]),
    ("rewrite", &["build-arg", "platform", "policy", "scope", "target"]),
];

/// The keys of a command's table that a project may set.
pub(super) fn allowed(command: &str) -> &'static [&'static str] {
    ALLOWED.iter().find(|(name, _)| *name == command).map_or(&[], |(_, keys)| keys)
}

/// The commands of which a project may set something, itself or below.
pub(super) fn commands() -> impl Iterator<Item = &'static str> {
    ALLOWED.iter().map(|(name, _)| *name)
}
