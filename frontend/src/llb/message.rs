//! The messages of LLB, as far as they are read. Nothing is ever encoded from these: see [`super::wire`].
//!
//! Field numbers are those of BuildKit's `solver/pb/ops.proto`. A sub-message that is only passed on is `bytes`,
//! which is the same on the wire.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::graph::{MountKind, Sharing};

/// Numbers of the fields that the writer changes or makes.
pub(super) mod number {
    pub(crate) const DEFINITION_DEF: u32 = 1;
    pub(crate) const DEFINITION_METADATA: u32 = 2;
    pub(crate) const DEFINITION_SOURCE: u32 = 3;
    pub(crate) const SOURCE_LOCATIONS: u32 = 1;
    pub(crate) const METADATA_IGNORE_CACHE: u32 = 1;
    pub(crate) const SOURCE_INFOS: u32 = 2;
    pub(crate) const LOCATIONS_LOCATION: u32 = 1;
    pub(crate) const LOCATION_SOURCE: u32 = 1;
    pub(crate) const MAP_KEY: u32 = 1;
    pub(crate) const MAP_VALUE: u32 = 2;
    pub(crate) const OP_INPUTS: u32 = 1;
    pub(crate) const OP_EXEC: u32 = 2;
    pub(crate) const OP_SOURCE: u32 = 3;
    pub(crate) const OP_FILE: u32 = 4;
    pub(crate) const OP_PLATFORM: u32 = 10;
    pub(crate) const INPUT_DIGEST: u32 = 1;
    pub(crate) const EXEC_META: u32 = 1;
    pub(crate) const EXEC_MOUNTS: u32 = 2;
    pub(crate) const EXEC_NETWORK: u32 = 3;
    /// Arguments, environment, directory and user.
    pub(crate) const META_COMMAND: [u32; 4] = [1, 2, 3, 4];
    pub(crate) const MOUNT_INPUT: u32 = 1;
    pub(crate) const MOUNT_DEST: u32 = 3;
    pub(crate) const MOUNT_OUTPUT: u32 = 4;
    pub(crate) const MOUNT_READONLY: u32 = 5;
    pub(crate) const MOUNT_TYPE: u32 = 6;
    pub(crate) const MOUNT_CACHE_OPT: u32 = 20;
    pub(crate) const MOUNT_SECRET_OPT: u32 = 21;
    pub(crate) const SECRET_OPT_ID: u32 = 1;
    pub(crate) const SECRET_OPT_OPTIONAL: u32 = 5;
    pub(crate) const CACHE_OPT_ID: u32 = 1;
    pub(crate) const CACHE_OPT_SHARING: u32 = 2;
    /// Every field of `Op` that is known to hold no digests but those of its inputs.
    pub(crate) const OP_KNOWN: [u32; 10] = [1, 2, 3, 4, 5, 6, 7, 8, 10, 11];
}

/// Its ops (field 1) are walked on the wire: their digests are over their very bytes.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Definition {
    #[prost(message, repeated, tag = "2")]
    pub metadata: Vec<OpMetadataEntry>,
    #[prost(message, optional, tag = "3")]
    pub source: Option<Source>,
}

/// An entry of a map, which is a message of its own on the wire. Maps that the writer changes are read in this form:
/// prost takes a map's field for one whatever its wire type, and the writer would not find it.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct OpMetadataEntry {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(message, optional, tag = "2")]
    pub value: Option<OpMetadata>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct OpMetadata {
    #[prost(bool, tag = "1")]
    pub ignore_cache: bool,
    #[prost(map = "string, string", tag = "2")]
    pub description: HashMap<String, String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Source {
    #[prost(message, repeated, tag = "1")]
    pub locations: Vec<LocationsEntry>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub infos: Vec<Vec<u8>>,
}

/// See [`OpMetadataEntry`].
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct LocationsEntry {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(message, optional, tag = "2")]
    pub value: Option<Locations>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Locations {
    #[prost(message, repeated, tag = "1")]
    pub locations: Vec<Location>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Location {
    #[prost(int32, tag = "1")]
    pub source_index: i32,
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub ranges: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Range {
    #[prost(message, optional, tag = "1")]
    pub start: Option<Position>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Position {
    #[prost(int32, tag = "1")]
    pub line: i32,
}

/// `pb.SourceInfo`, as far as it is read.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SourceText {
    #[prost(string, tag = "1")]
    pub filename: String,
    #[prost(bytes = "vec", tag = "2")]
    pub data: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Op {
    #[prost(message, repeated, tag = "1")]
    pub inputs: Vec<Input>,
    #[prost(message, optional, tag = "2")]
    pub exec: Option<ExecOp>,
    #[prost(message, optional, tag = "10")]
    pub platform: Option<Platform>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Input {
    #[prost(string, tag = "1")]
    pub digest: String,
    #[prost(int64, tag = "2")]
    pub index: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Platform {
    #[prost(string, tag = "1")]
    pub architecture: String,
    #[prost(string, tag = "2")]
    pub os: String,
    #[prost(string, tag = "3")]
    pub variant: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ExecOp {
    #[prost(message, repeated, tag = "2")]
    pub mounts: Vec<Mount>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Mount {
    #[prost(int64, tag = "1")]
    pub input: i64,
    #[prost(string, tag = "2")]
    pub selector: String,
    #[prost(string, tag = "3")]
    pub dest: String,
    #[prost(int64, tag = "4")]
    pub output: i64,
    #[prost(bool, tag = "5")]
    pub readonly: bool,
    #[prost(int32, tag = "6")]
    pub mount_type: i32,
    #[prost(message, optional, tag = "20")]
    pub cache_opt: Option<CacheOpt>,
}

// `pb.MountType`.
pub(super) const MOUNT_TYPE_BIND: i32 = 0;
pub(super) const MOUNT_TYPE_SECRET: i32 = 1;
pub(super) const MOUNT_TYPE_SSH: i32 = 2;
pub(super) const MOUNT_TYPE_CACHE: i32 = 3;
pub(super) const MOUNT_TYPE_TMPFS: i32 = 4;

/// What a mount is.
pub(super) fn mount_kind(mount_type: i32) -> MountKind {
    match mount_type {
        MOUNT_TYPE_SECRET => MountKind::Secret,
        MOUNT_TYPE_SSH => MountKind::Ssh,
        MOUNT_TYPE_CACHE => MountKind::Cache,
        MOUNT_TYPE_TMPFS => MountKind::Tmpfs,
        // The root and what is copied in; of a kind to come nothing is known, as of a bind mount.
        _ => MountKind::Bind,
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct CacheOpt {
    #[prost(bytes = "vec", tag = "1")]
    pub id: Vec<u8>,
    #[prost(int32, tag = "2")]
    pub sharing_opt: i32,
}

impl CacheOpt {
    /// The id as far as it is text.
    pub(super) fn id(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.id)
    }

    /// `pb.CacheSharingOpt`. The engine refuses other values, with a message of its own.
    pub(super) fn sharing(&self) -> Sharing {
        match self.sharing_opt {
            1 => Sharing::Private,
            2 => Sharing::Locked,
            _ => Sharing::Shared,
        }
    }
}
