//! The messages of `moby.buildkit.v1.Control` that we read, as far as we read them; what else is in them is passed over.
//!
//! Field numbers are those of BuildKit's `api/services/control/control.proto`.

use std::collections::HashMap;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct StatusRequest {
    #[prost(string, tag = "1")]
    pub reference: String,
}

/// What has changed in a build.
#[derive(Clone, PartialEq, prost::Message)]
pub struct StatusResponse {
    /// Steps that began or ended.
    #[prost(message, repeated, tag = "1")]
    pub vertexes: Vec<Vertex>,
    /// Steps that said something.
    #[prost(message, repeated, tag = "3")]
    pub logs: Vec<VertexLog>,
}

/// A step.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Vertex {
    /// What names it in its build.
    #[prost(string, tag = "1")]
    pub digest: String,
    /// What people know it as: `[a 2/3] RUN make`.
    #[prost(string, tag = "3")]
    pub name: String,
    /// Whether its result was there.
    #[prost(bool, tag = "4")]
    pub cached: bool,
    /// When it began.
    #[prost(message, optional, tag = "5")]
    pub started: Option<Timestamp>,
    /// When it ended.
    #[prost(message, optional, tag = "6")]
    pub completed: Option<Timestamp>,
    /// What it failed with.
    #[prost(string, tag = "7")]
    pub error: String,
}

/// That a step said something; not what.
#[derive(Clone, PartialEq, prost::Message)]
pub struct VertexLog {
    /// The step's digest.
    #[prost(string, tag = "1")]
    pub vertex: String,
    /// When.
    #[prost(message, optional, tag = "2")]
    pub timestamp: Option<Timestamp>,
}

/// `google.protobuf.Timestamp`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, prost::Message)]
pub struct Timestamp {
    /// Since 1970.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// And so much more.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct BuildHistoryRequest {
    #[prost(bool, tag = "1")]
    pub active_only: bool,
}

/// That a build began or ended.
#[derive(Clone, PartialEq, prost::Message)]
pub struct BuildHistoryEvent {
    /// Whether it began, ended, or is forgotten.
    #[prost(enumeration = "Started", tag = "1")]
    pub kind: i32,
    /// The build.
    #[prost(message, optional, tag = "2")]
    pub record: Option<BuildHistoryRecord>,
}

/// What a [`BuildHistoryEvent`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum Started {
    /// The build runs.
    Started = 0,
    /// It has ended.
    Complete = 1,
    /// It is forgotten.
    Deleted = 2,
}

/// A build.
#[derive(Clone, PartialEq, prost::Message)]
pub struct BuildHistoryRecord {
    /// What names it in the engine.
    #[prost(string, tag = "1")]
    pub reference: String,
    /// What its frontend was asked: `build-arg:A`, `target`.
    #[prost(map = "string, string", tag = "3")]
    pub options: HashMap<String, String>,
}
