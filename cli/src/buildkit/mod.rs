//! The engine's BuildKit: which builds run, and what their steps do.

mod client;
mod hijack;
mod messages;

pub use client::{Client, Error};
pub use messages::{
    BuildHistoryEvent, BuildHistoryRecord, Started, StatusResponse, Timestamp, Vertex, VertexLog,
};
