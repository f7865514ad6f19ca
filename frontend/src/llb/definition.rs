//! A build definition as BuildKit hands it over: its bytes, and an index over them.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use prost::Message;
use sha2::{Digest as _, Sha256};

use super::message::{self, number};
use super::ours::Role;
use super::wire::{self, Value, WireError};

/// The name of an op: `sha256:` and the hash of its bytes (`solver/llbsolver/vertex.go`, `loadLLB`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

impl Digest {
    /// The digest of an op's bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        use fmt::Write as _;
        let mut digest = String::with_capacity(71);
        digest.push_str("sha256:");
        for byte in Sha256::digest(bytes) {
            let _ = write!(digest, "{byte:02x}");
        }
        Self(digest)
    }

    /// Its hexadecimal digits.
    pub(super) fn hex(&self) -> &str {
        self.0.split_once(':').map_or(&self.0, |(_, hex)| hex)
    }

    /// The digest as BuildKit writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for Digest {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A definition that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// The bytes are no protobuf, or not of this kind.
    #[error("the build definition cannot be read: {0}")]
    Malformed(String),
    /// An op needs another one that the definition does not hold.
    #[error("the build definition is incomplete: op {op} needs {input}, which is not in it")]
    MissingInput {
        /// The op that needs it.
        op: Digest,
        /// What is missing.
        input: String,
    },
}

/// Where the source of a vertex stands, as the engine wants it back in a warning: still encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VertexSource {
    /// `pb.SourceInfo`.
    pub info: Vec<u8>,
    /// `pb.Range`, one each.
    pub ranges: Vec<Vec<u8>>,
}

/// One op of a definition.
#[derive(Debug, Clone)]
pub(super) struct Vertex {
    pub digest: Digest,
    /// Where the op's bytes lie in the definition.
    pub span: Range<usize>,
    pub op: message::Op,
    /// Fields of the op that we do not know. It may be passed on, but not changed.
    pub has_unknown_kind: bool,
    /// The places in the definition of what it depends on, one an input.
    pub inputs: Vec<usize>,
}

impl Vertex {
    /// The mounts of a command, in the order in which their locks are taken.
    pub(super) fn mounts(&self) -> &[message::Mount] {
        self.op.exec.as_ref().map(|exec| exec.mounts.as_slice()).unwrap_or_default()
    }
}

/// A definition, its ops decoded and found by digest.
#[derive(Debug, Clone)]
pub struct Definition {
    bytes: Vec<u8>,
    pub(super) vertices: Vec<Vertex>,
    pub(super) platform: Option<String>,
    metadata: HashMap<String, message::OpMetadata>,
    locations: HashMap<String, message::Locations>,
    /// `pb.SourceInfo`, each still encoded.
    sources: Vec<Vec<u8>>,
}

impl Definition {
    /// Reads an encoded `pb.Definition`.
    ///
    /// # Errors
    /// It is malformed, or an op needs another one that is not there.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, DefinitionError> {
        let decoded = message::Definition::decode(&*bytes).map_err(malformed)?;
        let spans = op_spans(&bytes).map_err(malformed)?;
        let digests: Vec<_> = spans.iter().map(|span| Digest::of(&bytes[span.clone()])).collect();
        let places: HashMap<_, _> =
            digests.iter().enumerate().map(|(place, digest)| (digest.as_str(), place)).collect();
        let mut vertices = Vec::with_capacity(digests.len());
        for (span, digest) in spans.into_iter().zip(&digests) {
            let encoded = &bytes[span.clone()];
            let op = message::Op::decode(encoded).map_err(malformed)?;
            let has_unknown_kind = check_fields(encoded).map_err(malformed)?;
            let inputs = op.inputs.iter().map(|input| {
                places.get(input.digest.as_str()).copied().ok_or_else(|| DefinitionError::MissingInput {
                    op: digest.clone(),
                    input: input.digest.clone(),
                })
            });
            let inputs = inputs.collect::<Result<_, _>>()?;
            vertices.push(Vertex { digest: digest.clone(), span, op, has_unknown_kind, inputs });
        }
        let source = decoded.source.unwrap_or_default();
        let metadata = decoded.metadata.into_iter().map(|entry| (entry.key, entry.value.unwrap_or_default()));
        let locations =
            source.locations.into_iter().map(|entry| (entry.key, entry.value.unwrap_or_default()));
        Ok(Self {
            bytes,
            vertices,
            platform: None,
            metadata: metadata.collect(),
            locations: locations.collect(),
            sources: source.infos,
        })
    }

    /// Says which platform it is built for, where there are several.
    #[must_use]
    pub fn built_for(mut self, platform: Option<String>) -> Self {
        self.platform = platform;
        self
    }

    /// The definition as it was received.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The source of an op, where the definition tells it.
    #[must_use]
    pub fn source_of(&self, digest: &str) -> Option<VertexSource> {
        let (source, ranges) = self.place_of(digest)?;
        Some(VertexSource { info: self.sources[source].clone(), ranges: ranges.to_vec() })
    }

    /// The place of the source that the last op stands in, of those of which the definition tells where they stand.
    pub(super) fn own(&self) -> Option<usize> {
        let located = |vertex: &Vertex| self.place_of(vertex.digest.as_str());
        Some(self.vertices.iter().rev().find_map(located)?.0)
    }

    /// Where an op stands, if the definition tells it: the place of its source, and `pb.Range`s.
    /// Of an op that stands in several places the first one in its file: in which order they are told is an accident
    /// (`client/llb/sourcemap.go`, `sourceMapCollector.Add`).
    pub(super) fn place_of(&self, digest: &str) -> Option<(usize, &[Vec<u8>])> {
        let locations = &self.locations.get(digest)?.locations;
        let location =
            locations.iter().min_by_key(|location| (location.source_index, line(&location.ranges)))?;
        let source = usize::try_from(location.source_index).ok()?;
        (source < self.sources.len()).then_some((source, &location.ranges))
    }

    /// Whether an op runs whatever is in the build cache: `--no-cache`.
    pub(super) fn ignores_cache(&self, digest: &Digest) -> bool {
        self.metadata.get(digest.as_str()).is_some_and(|metadata| metadata.ignore_cache)
    }

    /// `pb.SourceInfo`, each still encoded.
    pub(super) fn sources(&self) -> &[Vec<u8>] {
        &self.sources
    }

    /// What an op is for, if it is one of ours.
    pub(super) fn role_of(&self, digest: &Digest) -> Option<Role> {
        Role::of(&self.metadata.get(digest.as_str())?.description)
    }

    /// What people see of an op while it runs.
    pub(super) fn name_of(&self, digest: &Digest) -> Option<&str> {
        let metadata = self.metadata.get(digest.as_str())?;
        metadata.description.get("llb.customname").map(String::as_str)
    }
}

fn malformed(error: impl fmt::Display) -> DefinitionError {
    DefinitionError::Malformed(error.to_string())
}

fn op_spans(definition: &[u8]) -> Result<Vec<Range<usize>>, WireError> {
    let mut spans = Vec::new();
    for field in wire::fields(definition) {
        let field = field?;
        if let (number::DEFINITION_DEF, Value::Bytes(op)) = (field.number, field.value) {
            spans.push(field.span.end - op.len()..field.span.end);
        }
    }
    Ok(spans)
}

/// Whether the op has fields that we do not know. What it does stands in it once: decoders disagree on what two are.
fn check_fields(op: &[u8]) -> Result<bool, WireError> {
    let mut has_unknown_kind = false;
    let mut execs = 0;
    for field in wire::fields(op) {
        let number = field?.number;
        has_unknown_kind |= !number::OP_KNOWN.contains(&number);
        execs += usize::from(number == number::OP_EXEC);
    }
    if execs > 1 { Err(WireError::new("an op holds several commands")) } else { Ok(has_unknown_kind) }
}

/// The line that the first of these `pb.Range`s begins at.
pub(super) fn line(ranges: &[Vec<u8>]) -> Option<u32> {
    let range = message::Range::decode(&**ranges.first()?).ok()?;
    u32::try_from(range.start?.line).ok()
}
