//! Two build definitions side by side. What has no order in the engine is compared without one: its encoder writes maps in any
//! order, older ones also ops (`client/llb/fileop.go` of 0.12, `FileOp.Inputs`), which name each other by digest; and the places
//! of an op come as stages were reached. All else is compared byte by byte.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use ci_build_frontend::llb::wire::{self, Value, WireError, encode_bytes};
use xtask::artifacts;
use xtask::client::Client;
use xtask::images;

/// The image of the frontend that captures definitions, see `tests/capture`.
const CAPTURE: &str = "local/capture:latest";

/// Gives an engine the frontend that captures.
///
/// # Errors
/// When it cannot be built, or the engine does not take it.
pub fn install_capture(client: &Client) -> Result<()> {
    images::of_frontend(client, &artifacts::capture()?, CAPTURE)
}

/// The argument that has the definitions of a build captured: those of the engine's own frontend, and those that
/// `frontend` solves in its place.
#[must_use]
pub fn capture_argument(frontend: &str) -> String {
    format!("--build-arg=BUILDKIT_SYNTAX={CAPTURE} upstream={frontend}")
}

/// How many definitions there are, and what differs between them.
pub type Compared = (usize, Vec<String>);

/// Captures until what is captured is alike, several times at most. What belongs to two stages, a base image say, is called after
/// either, and stands where either begins: older engines choose by the order of a Go map, anew for each frontend that asks.
///
/// # Errors
/// Those of `capture`.
pub fn alike_once(mut capture: impl FnMut() -> Result<Option<Compared>>) -> Result<Option<Compared>> {
    // Three stages that share a base have it called after the same one in one of three captures.
    const MOST: usize = 20;
    let mut compared = capture()?;
    for _ in 1..MOST {
        if compared.as_ref().is_none_or(|(_, different)| different.is_empty()) {
            break;
        }
        compared = capture()?;
    }
    Ok(compared)
}

/// What differs between the captured definitions in a directory, a line each; and how many pairs there are.
///
/// # Errors
/// When there is none, when one has no other, or when one cannot be read.
pub fn compare(captured: &Path) -> Result<Compared> {
    let mut differences = Vec::new();
    let count = fs::read_dir(captured).context("cannot list the captured definitions")?.count();
    ensure!(count > 0 && count % 2 == 0, "there are {count} definitions, which are no pairs");
    for number in 0..count / 2 {
        let [upstream, ours] = ["", "upstream-"].map(|prefix| {
            let path = captured.join(format!("{prefix}{number}.pb"));
            fs::read(&path).with_context(|| format!("there is no {}", path.display()))
        });
        let parts = difference(&upstream?, &ours?).context("a definition cannot be read")?;
        differences.extend(parts.into_iter().map(|part| format!("definition {number}: {part}")));
    }
    Ok((count / 2, differences))
}

/// The parts of two definitions that differ.
///
/// # Errors
/// One is malformed.
pub fn difference(one: &[u8], other: &[u8]) -> Result<Vec<&'static str>, WireError> {
    const PARTS: [(u32, &str); 3] = [(1, "ops"), (2, "metadata"), (3, "source")];
    let [one, other] = [canonical(one, Kind::Definition)?, canonical(other, Kind::Definition)?];
    let mut parts = Vec::new();
    for (number, name) in PARTS {
        if part(&one, number)? != part(&other, number)? {
            parts.push(name);
        }
    }
    if parts.is_empty() && one != other {
        parts.push("other fields");
    }
    Ok(parts)
}

fn part(definition: &[u8], number: u32) -> Result<Vec<&[u8]>, WireError> {
    let fields = wire::fields(definition);
    let of_number = fields.filter_map(|field| match field {
        Ok(field) if field.number != number => None,
        other => Some(other.map(|field| &definition[field.span])),
    });
    of_number.collect()
}

/// The messages that hold something without an order (field numbers: `solver/pb/ops.proto`).
#[derive(Clone, Copy)]
enum Kind {
    Definition,
    Metadata,
    OpMetadata,
    ProgressGroup,
    Source,
    LocationsOf,
    Locations,
    SourceInfo,
    Other,
}

impl Kind {
    /// What a field holds, and whether its occurrences have no order.
    fn field(self, number: u32) -> (Self, bool) {
        match (self, number) {
            (Self::Definition, 2) => (Self::Metadata, true),
            (Self::Definition, 3) => (Self::Source, false),
            (Self::Metadata, 2) => (Self::OpMetadata, false),
            (Self::OpMetadata, 2 | 5) => (Self::Other, true),
            (Self::OpMetadata, 6) => (Self::ProgressGroup, false),
            (Self::Source, 1) => (Self::LocationsOf, true),
            (Self::Source, 2) => (Self::SourceInfo, false),
            (Self::LocationsOf, 2) => (Self::Locations, false),
            (Self::Locations, 1) => (Self::Other, true),
            (Self::SourceInfo, 3) => (Self::Definition, false),
            _ => (Self::Other, false),
        }
    }
}

/// The same message with one order for what has none.
fn canonical(message: &[u8], kind: Kind) -> Result<Vec<u8>, WireError> {
    if matches!(kind, Kind::Other) {
        return Ok(message.to_vec());
    }
    let mut fields = Vec::new();
    for field in wire::fields(message) {
        let field = field?;
        let (inner, is_unordered) = kind.field(field.number);
        // A group's id is a random number each time that a Dockerfile is read; its name follows it.
        if matches!(kind, Kind::ProgressGroup) && field.number == 1 {
            continue;
        }
        let encoded = match field.value {
            Value::Bytes(bytes) => encode_bytes(field.number, &canonical(bytes, inner)?),
            _ => message[field.span].to_vec(),
        };
        let order = if is_unordered { encoded.clone() } else { Vec::new() };
        fields.push((field.number, order, encoded));
    }
    if matches!(kind, Kind::Definition) {
        sort_ops(&mut fields);
    }
    // Stable: what has an order keeps it.
    fields.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    Ok(fields.into_iter().flat_map(|(.., encoded)| encoded).collect())
}

/// The last op is what the definition is of; the others are all that it needs.
fn sort_ops(fields: &mut [(u32, Vec<u8>, Vec<u8>)]) {
    let mut ops: Vec<_> = fields.iter_mut().filter(|(number, ..)| *number == 1).collect();
    let last = ops.pop();
    ops.iter_mut().for_each(|(_, order, encoded)| order.clone_from(encoded));
    if let Some((_, order, _)) = last {
        // Behind all keys of fields.
        order.push(u8::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xtask::workspace;

    fn captured() -> Vec<u8> {
        let path = workspace::root().join("testdata/llb/docker-28.5/SharedCacheRace/two-stages.pb");
        fs::read(path).unwrap()
    }

    fn fields(message: &[u8]) -> Vec<(u32, &[u8])> {
        wire::fields(message)
            .map(|field| field.map(|field| (field.number, &message[field.span])))
            .collect::<Result<_, _>>()
            .unwrap()
    }

    #[test]
    fn what_has_no_order_is_compared_without_one() {
        let definition = captured();
        let mut turned = fields(&definition);
        let last = turned.iter().rposition(|(number, _)| *number == 1).unwrap();
        let root = turned.remove(last);
        turned.reverse();
        turned.push(root);
        let bytes = |fields: &[(u32, &[u8])]| {
            fields.iter().flat_map(|(_, field)| field.to_vec()).collect::<Vec<u8>>()
        };
        assert_ne!(bytes(&turned), definition);
        assert_eq!(difference(&definition, &bytes(&turned)), Ok(vec![]));
        // It is of another op then.
        turned.rotate_right(1);
        assert_eq!(difference(&definition, &bytes(&turned)), Ok(vec!["ops"]));
    }

    #[test]
    fn every_part_is_seen() {
        let definition = captured();
        let changed = |number, change: &dyn Fn(&[u8]) -> Vec<u8>| {
            let mut is_first = true;
            let changed = wire::map_bytes::<WireError>(&definition, number, |field| {
                let is_it = std::mem::take(&mut is_first);
                Ok(if is_it { change(field).into() } else { field.into() })
            });
            difference(&definition, &changed.unwrap()).unwrap()
        };
        let longer = |field: &[u8]| [field, &wire::encode_varint(99, 1)].concat();
        assert_eq!(changed(1, &longer), ["ops"]);
        assert_eq!(changed(2, &longer), ["metadata"]);
        assert_eq!(changed(3, &longer), ["source"]);
        let caps = |entry: &[u8]| {
            let entry =
                wire::map_bytes::<WireError>(entry, 2, |metadata| wire::retain_bytes(metadata, 5, |_| false));
            entry.unwrap().into_owned()
        };
        assert_eq!(changed(2, &caps), ["metadata"]);
        let without_text = |source: &[u8]| {
            let source = wire::map_bytes::<WireError>(source, 2, |info| wire::set_bytes(info, 2, b""));
            source.unwrap().into_owned()
        };
        assert_eq!(changed(3, &without_text), ["source"]);
    }
}
