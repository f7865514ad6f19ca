//! Lines of ours in the build's output: as warnings where the engine shows them, else as the names of steps that do
//! nothing. What is worth knowing before the build is such a name on every engine.

use std::collections::BTreeSet;

use futures_util::future::try_join_all;

use super::client::Client;
use super::error::GatewayError;
use super::messages::{SolveRequest, WarnRequest};
use super::result;
use crate::llb::wire::{encode_bytes, encode_varint};
use crate::llb::{Digest, VertexSource};

/// A line, and what it is about.
#[derive(Debug, Clone)]
pub(super) struct Notice {
    pub text: String,
    /// What to know before the build: engines show warnings at its end.
    pub waits: Option<String>,
    /// The line in the Dockerfile, from 1.
    pub line: Option<u32>,
    /// The digest of the step.
    pub vertex: String,
    pub source: Option<VertexSource>,
}

/// Shows every notice once.
///
/// # Errors
/// The engine fails.
pub(super) async fn show(client: &Client, notices: Vec<Notice>) -> Result<(), GatewayError> {
    if notices.is_empty() {
        return Ok(());
    }
    if client.ping().await?.warnings {
        // Several hazards of one cache have one.
        let waits: BTreeSet<_> = notices.iter().filter_map(|notice| notice.waits.as_deref()).collect();
        try_join_all(waits.into_iter().map(|waits| run_named(client, waits))).await?;
        try_join_all(notices.into_iter().map(|notice| client.warn(warning(notice)))).await?;
    } else {
        let texts: Vec<_> = notices.iter().map(text).collect();
        try_join_all(texts.iter().map(|text| run_named(client, text))).await?;
    }
    Ok(())
}

/// As BuildKit's own linter words its findings (`frontend/dockerfile/linter`, `LintFormatShort`).
fn text(notice: &Notice) -> String {
    match notice.line {
        Some(line) => format!("{} (line {line})", notice.text),
        None => notice.text.clone(),
    }
}

fn warning(notice: Notice) -> WarnRequest {
    let short = text(&notice);
    let (info, ranges) = notice.source.map(|source| (source.info, source.ranges)).unzip();
    WarnRequest {
        digest: notice.vertex,
        level: 1,
        short,
        detail: Vec::new(),
        info,
        ranges: ranges.unwrap_or_default(),
    }
}

/// Runs a step that makes one empty directory, which nobody uses, and is called by the text. It has run when this returns,
/// and so before any step of the build, which the engine begins with after the result.
async fn run_named(client: &Client, text: &str) -> Result<(), GatewayError> {
    let definition = Some(named_step(&format!("[ci-build] {text}")));
    let result = client.solve(SolveRequest { definition, ..SolveRequest::default() }).await?;
    for reference in result::references(&result)? {
        client.run(reference.id).await?;
    }
    Ok(())
}

/// The definition of a `FileOp` on an empty root (field numbers: `solver/pb/ops.proto`).
fn named_step(name: &str) -> Vec<u8> {
    const NO_INPUT: u64 = -1_i64 as u64;
    let message = |fields: &[Vec<u8>]| fields.concat();
    // The directory is named by the text: equal steps would be one, with one name.
    let path = format!("/{}", Digest::of(name.as_bytes()));
    let mkdir = message(&[encode_bytes(1, path.as_bytes()), encode_varint(2, 0o755)]);
    let action = message(&[encode_varint(1, NO_INPUT), encode_varint(2, NO_INPUT), encode_bytes(6, &mkdir)]);
    let step = encode_bytes(4, &encode_bytes(2, &action));
    let digest = Digest::of(&step);
    let root = encode_bytes(1, &encode_bytes(1, digest.as_str().as_bytes()));
    let entry = |key: &str, value: &[u8]| message(&[encode_bytes(1, key.as_bytes()), encode_bytes(2, value)]);
    let metadata = encode_bytes(2, &entry("llb.customname", name.as_bytes()));
    message(&[
        encode_bytes(1, &step),
        encode_bytes(1, &root),
        encode_bytes(2, &entry(digest.as_str(), &metadata)),
    ])
}
