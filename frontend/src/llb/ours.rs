//! Vertices of our own: how they are told from the build's when a definition is read again.
//!
//! The mark stands in the metadata's description, which the engine keeps and does not read (`pb.OpMetadata`). An op's
//! cache key does not depend on it, and no Dockerfile can write it.

use std::collections::HashMap;

use super::wire::encode_bytes;

/// What a vertex of ours is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It has one empty directory, and ends after the steps that somebody waits for.
    Token,
    /// It prepares caches, and has one empty directory too.
    Primer,
    /// The frontend's image, which the primer runs in.
    Image,
}

/// The key of the mark.
const KEY: &str = "ci-build.role";

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Primer => "primer",
            Self::Image => "image",
        }
    }

    /// The role that a vertex's description gives it, if it is ours.
    pub(super) fn of(description: &HashMap<String, String>) -> Option<Self> {
        let name = description.get(KEY)?;
        [Self::Token, Self::Primer, Self::Image].into_iter().find(|role| role.name() == name)
    }
}

/// The encoded `pb.OpMetadata` of a vertex of ours, with what people see of it. It names no capabilities: all that we use is
/// in every engine from Docker 20.10 on.
pub(super) fn metadata(role: Role, name: &str) -> Vec<u8> {
    let entry = |key: &str, value: &str| {
        let entry = [encode_bytes(1, key.as_bytes()), encode_bytes(2, value.as_bytes())].concat();
        encode_bytes(2, &entry)
    };
    [entry("llb.customname", &format!("[ci-build] {name}")), entry(KEY, role.name())].concat()
}
