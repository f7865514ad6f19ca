//! Arbitrary build definitions as BuildKit could send them, now or later: ops that name each other by digest, some
//! with cache mounts, metadata and source locations, all with fields that we do not know.

use ci_build_frontend::llb::Digest;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::message::{Field, Message, Oddity, Ops, Value, oddity};

/// Field numbers of BuildKit's `solver/pb/ops.proto`.
pub(crate) mod number {
    pub(crate) const DEF: u32 = 1;
    pub(crate) const METADATA: u32 = 2;
    pub(crate) const SOURCE: u32 = 3;
    pub(crate) const INPUTS: u32 = 1;
    pub(crate) const EXEC: u32 = 2;
    pub(crate) const MOUNTS: u32 = 2;
    pub(crate) const CACHE_OPT: u32 = 20;
    pub(crate) const ID: u32 = 1;
    pub(crate) const SHARING: u32 = 2;
    /// Of an input its digest, of a map's entry its key.
    pub(crate) const NAME: u32 = 1;
}

/// A definition. Each op needs only ops of lower places; the last one is the root.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) ops: Vec<Message>,
    /// The whole of it, the ops by their places.
    pub(crate) definition: Message,
}

impl Model {
    /// The bytes of the ops, and their digests.
    pub(crate) fn ops(&self) -> Ops {
        self.named(|_, op| Digest::of(op).as_str().as_bytes().to_vec())
    }

    /// The bytes of the ops where they are called what `name` says.
    pub(crate) fn named(&self, name: impl Fn(usize, &[u8]) -> Vec<u8>) -> Ops {
        let mut ops = Ops::default();
        for (place, op) in self.ops.iter().enumerate() {
            let op = op.encode(&ops);
            ops.names.push(name(place, &op));
            ops.bytes.push(op);
        }
        ops
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        self.definition.encode(&self.ops())
    }

    /// The places of the ops whose results an op needs.
    pub(crate) fn inputs(&self, op: usize) -> impl Iterator<Item = usize> {
        self.ops[op].messages(number::INPUTS).filter_map(|input| match input.last(number::NAME) {
            Some(Value::Name(input)) => Some(*input),
            _ => None,
        })
    }
}

#[derive(Debug, Clone)]
struct Cache {
    id: usize,
    sharing: u64,
    /// The same field, again: the last one counts.
    again: Option<u64>,
    split: bool,
    odd: Oddity,
}

#[derive(Debug, Clone)]
struct Mount {
    input: u64,
    target: usize,
    readonly: bool,
    cache: Option<Cache>,
    odd: Oddity,
}

#[derive(Debug, Clone)]
struct Op {
    inputs: Vec<(Index, u64, bool, Oddity)>,
    exec: Option<(Vec<Mount>, Oddity)>,
    other_kind: u32,
    platform: Option<bool>,
    line: Option<u8>,
    stage: Option<usize>,
    odd: Oddity,
    of_unknown_kind: bool,
    entry: Oddity,
}

fn cache() -> impl Strategy<Value = Cache> {
    let again = prop::option::weighted(0.2, 0_u64..4);
    (0..IDS.len(), 0_u64..3, again, prop::bool::weighted(0.1), oddity())
        .prop_map(|(id, sharing, again, split, odd)| Cache { id, sharing, again, split, odd })
}

fn mount() -> impl Strategy<Value = Mount> {
    let input = prop_oneof![3 => Just(u64::MAX), 1 => 0_u64..3];
    (input, 0..TARGETS.len(), any::<bool>(), prop::option::weighted(0.7, cache()), oddity())
        .prop_map(|(input, target, readonly, cache, odd)| Mount { input, target, readonly, cache, odd })
}

fn op() -> impl Strategy<Value = Op> {
    let input = (any::<Index>(), 0_u64..2, prop::bool::weighted(0.1), oddity());
    let exec = (prop::collection::vec(mount(), 0..5), oddity());
    (
        prop::collection::vec(input, 0..3),
        prop::option::weighted(0.7, exec),
        3_u32..8,
        prop::option::of(any::<bool>()),
        prop::option::of(1_u8..9),
        prop::option::of(0..STAGES.len()),
        oddity(),
        prop::bool::weighted(0.05),
        oddity(),
    )
        .prop_map(|(inputs, exec, other_kind, platform, line, stage, odd, of_unknown_kind, entry)| Op {
            inputs,
            exec,
            other_kind,
            platform,
            line,
            stage,
            odd,
            of_unknown_kind,
            entry,
        })
}

const IDS: [&str; 5] = ["/a", "/b", "/c", "/root/.npm", "/a@x"];
const TARGETS: [&str; 4] = ["/var/cache/apt", "/root/.npm", "/w", "/"];
const STAGES: [&str; 3] = ["x", "y", "stage-0"];

/// Any definition of up to eight ops and the root.
pub(crate) fn definitions() -> impl Strategy<Value = Model> {
    let top = (oddity(), oddity(), prop::collection::vec(any::<Index>(), 8));
    (prop::collection::vec(op(), 1..9), top).prop_map(|(ops, (odd, source_odd, order))| {
        let mut definition = Vec::new();
        let mut locations = Vec::new();
        for (place, op) in ops.iter().enumerate() {
            definition.push(Field::new(number::DEF, Value::Op(place)));
            if let Some(stage) = op.stage {
                definition.push(Field::message(number::METADATA, metadata(place, STAGES[stage], &op.entry)));
            }
            if let Some(line) = op.line {
                locations.push(Field::message(1, location(place, line, &op.entry)));
            }
        }
        let info = Field::message(2, odd.clone().known().apply(Message(vec![Field::text(1, "Dockerfile")])));
        locations.push(info);
        definition.push(Field::message(number::SOURCE, source_odd.apply(Message(locations))));
        let root = ops.len();
        let mut definition = odd.apply(Message(definition).shuffled(&order));
        definition.0.push(Field::new(number::DEF, Value::Op(root)));
        if let Some(last) = ops.last() {
            definition.0.push(Field::message(number::METADATA, metadata(root, "", &last.entry)));
        }

        let mut messages: Vec<_> =
            ops.into_iter().enumerate().map(|(place, op)| message(place, op)).collect();
        messages.push(Message(vec![Field::message(
            number::INPUTS,
            Message(vec![Field::new(number::NAME, Value::Name(root - 1))]),
        )]));
        Model { ops: messages, definition }
    })
}

fn message(place: usize, op: Op) -> Message {
    let mut fields = Vec::new();
    if place > 0 {
        for (needed, output, again, odd) in op.inputs {
            let name = Field::new(number::NAME, Value::Name(needed.index(place)));
            let mut input = odd.apply(Message(vec![name, Field::new(2, Value::Varint(output))]));
            if again {
                input.0.insert(0, Field::text(number::NAME, "sha256:an earlier one does not count"));
            }
            fields.push(Field::message(number::INPUTS, input));
        }
    }
    fields.push(match op.exec {
        Some((mounts, odd)) => Field::message(number::EXEC, exec(mounts, &odd)),
        None => Field::message(op.other_kind, Message(vec![Field::text(1, "docker-image://x")])),
    });
    if let Some(arm) = op.platform {
        let architecture = if arm { "arm64" } else { "amd64" };
        let platform = Message(vec![Field::text(1, architecture), Field::text(2, "linux")]);
        fields.push(Field::message(10, platform));
    }
    // No two ops are equal.
    fields.push(Field::message(11, Message(vec![Field::text(1, &format!("op {place}"))])));
    let odd = if op.of_unknown_kind { op.odd } else { op.odd.known() };
    odd.apply(Message(fields))
}

fn exec(mounts: Vec<Mount>, odd: &Oddity) -> Message {
    let mut fields = vec![Field::message(1, Message(vec![Field::text(1, "true")]))];
    fields.extend(mounts.into_iter().map(|mount| Field::message(number::MOUNTS, mount.message())));
    odd.apply(Message(fields))
}

impl Mount {
    fn message(self) -> Message {
        let mut fields = vec![
            Field::new(1, Value::Varint(self.input)),
            Field::text(3, TARGETS[self.target]),
            Field::new(4, Value::Varint(u64::MAX)),
        ];
        if self.readonly {
            fields.push(Field::new(5, Value::Varint(1)));
        }
        if let Some(cache) = self.cache {
            fields.push(Field::new(6, Value::Varint(3)));
            fields.extend(cache.messages().into_iter().map(|opt| Field::message(number::CACHE_OPT, opt)));
        }
        self.odd.apply(Message(fields))
    }
}

impl Cache {
    fn messages(self) -> Vec<Message> {
        let mut fields = vec![Field::text(number::ID, IDS[self.id])];
        let sharing = |value| Field::new(number::SHARING, Value::Varint(value));
        if self.sharing > 0 {
            fields.push(sharing(self.sharing));
        }
        let mut opt = self.odd.apply(Message(fields));
        opt.0.extend(self.again.map(sharing));
        if self.split {
            let tail = opt.0.split_off(1);
            vec![opt, Message(tail)]
        } else {
            vec![opt]
        }
    }
}

fn entry(place: usize, value: Message, odd: &Oddity) -> Message {
    let key = Field::new(number::NAME, Value::Name(place));
    let mut entry = odd.apply(Message(vec![key, Field::message(2, value)]));
    if place.is_multiple_of(5) {
        entry.0.insert(0, Field::text(number::NAME, "an earlier one does not count"));
    }
    entry
}

fn metadata(place: usize, stage: &str, odd: &Oddity) -> Message {
    let name = Message(vec![
        Field::text(1, "llb.customname"),
        Field::text(2, &format!("[linux/amd64 {stage} 2/2] RUN true")),
    ]);
    entry(place, odd.apply(Message(vec![Field::message(2, name)])), odd)
}

fn location(place: usize, line: u8, odd: &Oddity) -> Message {
    let position = Message(vec![Field::new(1, Value::Varint(line.into()))]);
    let range = odd.apply(Message(vec![Field::message(1, position)]));
    let location = odd.apply(Message(vec![Field::message(2, range)]));
    entry(place, odd.apply(Message(vec![Field::message(1, location)])), odd)
}
