//! The messages of `moby.buildkit.v1.frontend.LLBBridge` that we speak.
//!
//! Field numbers are those of BuildKit's `frontend/gateway/pb/gateway.proto`. Definitions, results and statuses are
//! `bytes`, which is the same on the wire: what we do not know of them is passed on.

use std::collections::HashMap;

/// Numbers of the fields that are changed within a result, and within a status.
pub(super) mod number {
    pub(crate) const STATUS_DETAILS: u32 = 3;
    pub(crate) const ANY_TYPE_URL: u32 = 1;
    pub(crate) const RESULT_REF: u32 = 3;
    pub(crate) const RESULT_REFS: u32 = 4;
    pub(crate) const RESULT_METADATA: u32 = 10;
    pub(crate) const RESULT_ATTESTATIONS: u32 = 12;
    pub(crate) const REF_MAP_REFS: u32 = 1;
    pub(crate) const ATTESTATIONS_ATTESTATION: u32 = 1;
    pub(crate) const ATTESTATION_REF: u32 = 3;
    pub(crate) const MAP_KEY: u32 = 1;
    pub(crate) const MAP_VALUE: u32 = 2;
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Empty {}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PongResponse {
    #[prost(message, repeated, tag = "1")]
    pub frontend_api_caps: Vec<ApiCap>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ApiCap {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(bool, tag = "2")]
    pub enabled: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct InputsResponse {
    #[prost(map = "string, bytes", tag = "1")]
    pub definitions: HashMap<String, Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SolveRequest {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub definition: Option<Vec<u8>>,
    #[prost(string, tag = "2")]
    pub frontend: String,
    #[prost(map = "string, string", tag = "3")]
    pub frontend_opt: HashMap<String, String>,
    #[prost(bool, tag = "5")]
    pub allow_result_return: bool,
    #[prost(bool, tag = "6")]
    pub allow_result_array_ref: bool,
    #[prost(message, repeated, tag = "12")]
    pub cache_imports: Vec<CacheOptionsEntry>,
    #[prost(map = "string, bytes", tag = "13")]
    pub frontend_inputs: HashMap<String, Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct CacheOptionsEntry {
    #[prost(string, tag = "1")]
    pub r#type: String,
    #[prost(map = "string, string", tag = "2")]
    pub attrs: HashMap<String, String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SolveResponse {
    #[prost(bytes = "vec", optional, tag = "3")]
    pub result: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Ref {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub def: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ReturnRequest {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub result: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub error: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WarnRequest {
    #[prost(string, tag = "1")]
    pub digest: String,
    #[prost(int64, tag = "2")]
    pub level: i64,
    #[prost(string, tag = "3")]
    pub short: String,
    #[prost(string, repeated, tag = "4")]
    pub detail: Vec<String>,
    #[prost(bytes = "vec", optional, tag = "6")]
    pub info: Option<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "7")]
    pub ranges: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct StatFileRequest {
    #[prost(string, tag = "1")]
    pub r#ref: String,
    #[prost(string, tag = "2")]
    pub path: String,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub code: i32,
    #[prost(string, tag = "2")]
    pub message: String,
}
