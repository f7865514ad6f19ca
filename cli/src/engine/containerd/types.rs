//! What several services speak of. Field numbers are those of containerd's `api/types`, the same in 1.6 and 2.1.

use std::collections::HashMap;

use prost::Message;

/// `google.protobuf.Empty`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Empty {}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Any {
    #[prost(string, tag = "1")]
    pub type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

/// `google.protobuf.FieldMask`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct FieldMask {
    #[prost(string, repeated, tag = "1")]
    pub paths: Vec<String>,
}

/// Which are asked for, in the list requests of containers and of leases.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Filters {
    #[prost(string, repeated, tag = "1")]
    pub filters: Vec<String>,
}

/// One blob (`descriptor.proto`).
#[derive(Clone, PartialEq, Message)]
pub struct Descriptor {
    /// Its media type.
    #[prost(string, tag = "1")]
    pub media_type: String,
    /// Its digest.
    #[prost(string, tag = "2")]
    pub digest: String,
    /// Its size in bytes.
    #[prost(int64, tag = "3")]
    pub size: i64,
}

/// What a snapshot is seen by (`mount.proto`).
#[derive(Clone, PartialEq, Message)]
pub struct Mount {
    /// `overlay`, `bind`, …
    #[prost(string, tag = "1")]
    pub kind: String,
    /// What is mounted.
    #[prost(string, tag = "2")]
    pub source: String,
    /// Where below the container's root.
    #[prost(string, tag = "3")]
    pub target: String,
    /// As mount(8) has them.
    #[prost(string, repeated, tag = "4")]
    pub options: Vec<String>,
}

/// Labels of a resource.
pub type Labels = HashMap<String, String>;
