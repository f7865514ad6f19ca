//! The LLB reader: definitions to one graph.

use std::collections::{HashMap, HashSet};

use super::definition::{self, Definition, Vertex};
use super::message;
use super::ours::Role;
use super::texts::Texts;
use crate::graph::{
    BuildGraph, CacheKey, CacheUse, CycleError, GraphBuilder, Location, Mount, MountKind, MountRef, Step,
};

/// A graph that cannot be made of the definitions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Ops depend on each other in a circle.
    #[error(transparent)]
    Cycle(#[from] CycleError),
}

/// Puts the definitions of one build together, one a platform and one an attestation: an op that stands in several of
/// them is one step. A step's id is the digest of its op, and its file is called as [`Texts`] calls it.
///
/// # Errors
/// The ops depend on each other in a circle.
pub fn read(definitions: &[Definition]) -> Result<BuildGraph, ReadError> {
    let mut builder = GraphBuilder::default();
    let mut steps = HashMap::new();
    let texts = Texts::of(definitions);
    for (place, definition) in definitions.iter().enumerate() {
        let mut added = Vec::new();
        for vertex in in_file_order(definition) {
            steps.entry(&vertex.digest).or_insert_with(|| {
                added.push(vertex);
                let location = location(definition, vertex, |source| texts.name(place, source));
                builder.add(Step { location, ..step(definition, vertex) })
            });
        }
        for vertex in added {
            let step = steps[&vertex.digest];
            let inputs: Vec<_> =
                vertex.inputs.iter().map(|input| steps[&definition.vertices[*input].digest]).collect();
            for input in &inputs {
                builder.depend(*input, step);
            }
            for (mount, starts) in vertex.mounts().iter().enumerate() {
                let input = usize::try_from(starts.input).ok().and_then(|input| inputs.get(input));
                if let Some(input) = input {
                    builder.start_from(MountRef { step, mount }, *input);
                }
            }
        }
    }
    Ok(builder.finish()?)
}

/// The ops of a definition as they follow in its file; where that is not told, by digest. Their order in the definition is another
/// one each time: an op that needs two has them in a map (`client/llb/fileop.go`, `FileOp.Inputs`). What is fetched comes first: the
/// stages that share it lend it their place in turn.
fn in_file_order(definition: &Definition) -> Vec<&Vertex> {
    let mut vertices: Vec<_> = definition.vertices.iter().collect();
    vertices.sort_by_cached_key(|&vertex| {
        let is_fetched = vertex.inputs.is_empty();
        let place = definition.place_of(vertex.digest.as_str()).filter(|_| !is_fetched);
        let place = place.map(|(source, ranges)| (source, definition::line(ranges)));
        (!is_fetched, place, vertex.digest.as_str())
    });
    vertices
}

fn step(definition: &Definition, vertex: &Vertex) -> Step {
    // What our own vertices do to caches is no hazard.
    let mounts = if definition.role_of(&vertex.digest).is_some() { &[] } else { vertex.mounts() };
    let primed = primed(definition, vertex);
    let mount = |mount| {
        let mut mount = self::mount(vertex, mount);
        mount.primed = mount.cache.as_ref().is_some_and(|cache| primed.contains(&cache.key));
        mount
    };
    Step {
        id: vertex.digest.to_string(),
        platform: vertex.op.platform.as_ref().map(platform),
        target: definition.platform.clone(),
        location: None,
        mounts: mounts.iter().map(mount).collect(),
        ..step_called(definition.name_of(&vertex.digest).unwrap_or_default())
    }
}

/// The caches that a primer of ours mounts before this step, in a definition that we wrote.
fn primed(definition: &Definition, vertex: &Vertex) -> HashSet<CacheKey> {
    let mut keys = HashSet::new();
    let mut seen = HashSet::new();
    let mut pending = vertex.inputs.clone();
    while let Some(place) = pending.pop() {
        let before = &definition.vertices[place];
        match definition.role_of(&before.digest) {
            Some(Role::Token) if seen.insert(place) => pending.extend(&before.inputs),
            Some(Role::Primer) => {
                let caches = before.mounts().iter().filter_map(|mount| self::mount(before, mount).cache);
                keys.extend(caches.map(|cache| cache.key));
            }
            _ => {}
        }
    }
    keys
}

/// A step by what the engine calls it: its stage and its title.
#[must_use]
pub fn step_called(name: &str) -> Step {
    Step { stage: stage_of(name).map(str::to_owned), title: title_of(name).to_owned(), ..Step::default() }
}

/// The stage in a step's name, which `dockerfile.v0` begins with `[linux/amd64 stage 2/5]`, the platform only where
/// there are several, the stage only where there are several (`dockerfile2llb/convert.go`, `prefixCommand`).
fn stage_of(name: &str) -> Option<&str> {
    let (prefix, _) = name.strip_prefix('[')?.split_once(']')?;
    let mut words: Vec<_> = prefix.split_whitespace().collect();
    let count = words.pop()?;
    let (step, steps) = count.split_once('/')?;
    if step.parse::<u32>().is_err() || steps.parse::<u32>().is_err() {
        return None;
    }
    words.pop().filter(|stage| !stage.contains('/'))
}

/// What a name says behind its prefix.
fn title_of(name: &str) -> &str {
    let title = name.strip_prefix('[').and_then(|name| name.split_once("] "));
    title.map_or(name, |(_, title)| title)
}

fn platform(platform: &message::Platform) -> String {
    let parts = [&platform.os, &platform.architecture, &platform.variant];
    parts.into_iter().filter(|part| !part.is_empty()).map(String::as_str).collect::<Vec<_>>().join("/")
}

fn location<'t>(
    definition: &Definition,
    vertex: &Vertex,
    name: impl Fn(usize) -> Option<&'t str>,
) -> Option<Location> {
    let (source, ranges) = definition.place_of(vertex.digest.as_str())?;
    Some(Location { file: name(source)?.to_owned(), line: definition::line(ranges)? })
}

fn mount(vertex: &Vertex, mount: &message::Mount) -> Mount {
    let kind = message::mount_kind(mount.mount_type);
    let cache = mount.cache_opt.as_ref().filter(|_| kind == MountKind::Cache);
    Mount {
        kind,
        target: mount.dest.clone(),
        readonly: mount.readonly,
        cache: cache.map(|cache| CacheUse { key: key(vertex, mount, cache), sharing: cache.sharing() }),
        ..Mount::default()
    }
}

fn key(vertex: &Vertex, mount: &message::Mount, cache: &message::CacheOpt) -> CacheKey {
    let input = usize::try_from(mount.input).ok().and_then(|input| vertex.op.inputs.get(input));
    CacheKey {
        id: cache.id().into_owned(),
        identity: input.map(|input| format!("{}/{}", input.digest, input.index)),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use prost::Message;

    use super::{Definition, message, read, stage_of};

    /// A definition with its ops, and nothing left out.
    #[derive(Clone, PartialEq, prost::Message)]
    struct Whole {
        #[prost(bytes = "vec", repeated, tag = "1")]
        ops: Vec<Vec<u8>>,
        #[prost(message, repeated, tag = "2")]
        metadata: Vec<message::OpMetadataEntry>,
        #[prost(message, optional, tag = "3")]
        source: Option<message::Source>,
    }

    /// The digests of the steps as they follow each other.
    fn order(bytes: Vec<u8>) -> Vec<String> {
        let graph = read(&[Definition::parse(bytes).unwrap()]).unwrap();
        graph.steps().map(|(_, step)| step.id.clone()).collect()
    }

    /// The engine's own frontend gives its ops, and the places of an op, in another order each time.
    #[test]
    fn the_order_of_a_build_is_not_that_of_its_ops() {
        let captured = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/llb");
        let mut turned = 0;
        for engine in ["docker-20.10", "docker-28.5"] {
            for topic in std::fs::read_dir(captured.join(engine)).unwrap() {
                for file in std::fs::read_dir(topic.unwrap().path()).unwrap() {
                    let path = file.unwrap().path();
                    let bytes = std::fs::read(&path).unwrap();
                    let Ok(mut definition) = Whole::decode(&*bytes) else { continue };
                    // The last op is what is built.
                    let Some(others) = definition.ops.len().checked_sub(1).filter(|others| *others > 1)
                    else {
                        continue;
                    };
                    definition.ops[..others].reverse();
                    for entry in definition.source.iter_mut().flat_map(|source| &mut source.locations) {
                        entry.value.iter_mut().for_each(|locations| locations.locations.reverse());
                    }
                    assert_eq!(order(definition.encode_to_vec()), order(bytes), "{}", path.display());
                    turned += 1;
                }
            }
        }
        assert!(turned > 20, "only {turned} definitions were turned around");
    }

    #[test]
    fn finds_the_stage_in_a_name() {
        assert_eq!(stage_of("[a 2/2] RUN true"), Some("a"));
        assert_eq!(stage_of("[linux/arm64 a 2/2] RUN true"), Some("a"));
        assert_eq!(stage_of("[stage-1 10/12] RUN true"), Some("stage-1"));
    }

    #[test]
    fn finds_none_where_there_is_none() {
        assert_eq!(stage_of("[2/2] RUN true"), None);
        assert_eq!(stage_of("[linux/arm64 2/2] RUN true"), None);
        assert_eq!(stage_of("[internal] load build context"), None);
        assert_eq!(stage_of("RUN true"), None);
        assert_eq!(stage_of("[] x"), None);
        assert_eq!(stage_of(""), None);
    }
}
