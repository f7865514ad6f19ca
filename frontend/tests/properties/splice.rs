//! Splicing of whole definitions, against a model that edits the tree of fields and encodes it anew.
//!
//! Both have to come to the very same bytes: so whatever is not edited is still there, unknown fields of every message
//! included, in its old order, under the new names.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use ci_build_frontend::graph::{BuildGraph, CacheKey, CacheUse, Sharing};
use ci_build_frontend::llb::{self, Definition, Digest, WriteError};
use ci_build_frontend::plan::{Plan, StepEdit};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::definition::{Model, definitions, number};
use crate::message::{Field, Message, Ops, Value};

/// What to do to the mounts of one op: a digit each, and how to reorder them.
type Wish = (bool, Vec<u8>, Vec<Index>);

fn wishes() -> impl Strategy<Value = Vec<Wish>> {
    let order = prop_oneof![Just(Vec::new()), prop::collection::vec(any::<Index>(), 5)];
    prop::collection::vec((any::<bool>(), prop::collection::vec(0_u8..5, 5), order), 9)
}

/// The edits of all ops, by their places.
fn edits(model: &Model, wishes: &[Wish]) -> BTreeMap<usize, StepEdit> {
    let mut edits = BTreeMap::new();
    for (op, (is_wanted, kinds, order)) in wishes.iter().enumerate().take(model.ops.len()) {
        let Some(exec) = model.ops[op].messages(number::EXEC).next().filter(|_| *is_wanted) else { continue };
        let mounts: Vec<_> = exec.messages(number::MOUNTS).collect();
        let mut edit = StepEdit::default();
        for (place, (mount, kind)) in mounts.iter().zip(kinds).enumerate() {
            let Some((id, sharing)) = cache_of(mount) else { continue };
            let (id, sharing) = match kind {
                0 => continue,
                1 => (id, sharing),
                2 => (id, Sharing::Locked),
                3 => (format!("{id}@own"), sharing),
                _ => (format!("{id}@own"), Sharing::Locked),
            };
            edit.caches.insert(place, CacheUse { key: CacheKey::new(id), sharing });
        }
        let mut places: Vec<_> = (0..mounts.len()).collect();
        for (place, key) in order.iter().enumerate().take(mounts.len()) {
            places.swap(place, key.index(mounts.len()));
        }
        edit.order = (!order.is_empty()).then_some(places);
        edits.insert(op, edit);
    }
    edits
}

/// The id and the sharing mode of a cache mount: those of all its cache options put together.
fn cache_of(mount: &Message) -> Option<(String, Sharing)> {
    mount.messages(number::CACHE_OPT).next()?;
    let opt = Message(mount.messages(number::CACHE_OPT).flat_map(|opt| opt.0.clone()).collect());
    let id = match opt.last(number::ID) {
        Some(Value::Bytes(id)) => String::from_utf8(id.clone()).unwrap(),
        _ => String::new(),
    };
    let sharing = match opt.last(number::SHARING) {
        Some(Value::Varint(1)) => Sharing::Private,
        Some(Value::Varint(2)) => Sharing::Locked,
        _ => Sharing::Shared,
    };
    Some((id, sharing))
}

/// Changes every message of this number. One that is other than before has its length written anew.
pub(crate) fn change(message: &mut Message, number: u32, mut change: impl FnMut(&mut Message)) {
    for field in &mut message.0 {
        if let Value::Message(inner) = &mut field.value
            && field.number == number
        {
            let before = inner.clone();
            change(inner);
            if *inner != before {
                field.padding = 0;
            }
        }
    }
}

fn apply(op: &mut Message, edit: &StepEdit) {
    change(op, number::EXEC, |exec| {
        let mut place = 0;
        change(exec, number::MOUNTS, |mount| {
            if let (Some(cache), Some((id, sharing))) = (edit.caches.get(&place), cache_of(mount)) {
                change(mount, number::CACHE_OPT, |opt| {
                    if sharing != cache.sharing {
                        opt.set(number::SHARING, Value::Varint(cache.sharing as u64));
                    }
                    if id != cache.key.id {
                        opt.set(number::ID, Value::Bytes(cache.key.id.clone().into_bytes()));
                    }
                });
            }
            place += 1;
        });
        if let Some(order) = &edit.order {
            let before = exec.clone();
            let is_mount = |field: &Field| field.number == number::MOUNTS;
            let mounts: Vec<_> = before.0.iter().filter(|field| is_mount(field)).collect();
            for (field, from) in exec.0.iter_mut().filter(|field| is_mount(field)).zip(order) {
                *field = mounts[*from].clone();
            }
        }
    });
}

/// Whether anything in the message changes its name; if so, its key and length are written anew.
pub(crate) fn rename(message: &mut Message, changed: &[bool]) -> bool {
    let mut renames = false;
    for field in &mut message.0 {
        let changes = match &mut field.value {
            Value::Name(op) | Value::Op(op) => changed[*op],
            Value::Message(message) => rename(message, changed),
            _ => false,
        };
        if changes {
            field.padding = 0;
            renames = true;
        }
    }
    renames
}

/// The model after the edits, and which ops are other than before.
fn edited(model: &Model, edits: &BTreeMap<usize, StepEdit>) -> (Model, Vec<bool>) {
    let mut model = model.clone();
    let mut changed = vec![false; model.ops.len()];
    for place in 0..model.ops.len() {
        let before = model.ops[place].clone();
        let op = &mut model.ops[place];
        let is_renamed = rename(op, &changed);
        if let Some(edit) = edits.get(&place) {
            apply(op, edit);
        }
        changed[place] = is_renamed || *op != before;
    }
    rename(&mut model.definition, &changed);
    (model, changed)
}

/// Whether an op of an unknown kind depends on one that changes.
pub(crate) fn is_refused(model: &Model, changed: &[bool]) -> bool {
    (0..model.ops.len()).any(|op| {
        let unknown = model.ops[op].0.iter().any(|field| field.number > 11);
        unknown && model.inputs(op).any(|input| changed[input])
    })
}

fn name(ops: &Ops, place: usize) -> &str {
    std::str::from_utf8(&ops.names[place]).unwrap()
}

/// A plan of these edits, by the steps' ids.
fn planned(definitions: &[Definition], edit: impl Fn(&str) -> Option<StepEdit>) -> (BuildGraph, Plan) {
    let graph = llb::read(definitions).unwrap();
    let edits = graph.steps().filter_map(|(index, step)| Some((index, edit(&step.id)?))).collect();
    (graph, Plan { edits, ..Plan::default() })
}

proptest! {
    #![proptest_config(crate::cases(256))]

    #[test]
    fn without_edits_the_bytes_are_the_same(model in definitions()) {
        let bytes = model.encode();
        let definition = Definition::parse(bytes.clone()).unwrap();
        let definitions = [definition];
        let (graph, plan) = planned(&definitions, |_| None);
        let written = llb::write(&definitions, &graph, &plan, None).unwrap();
        prop_assert!(matches!(written.definitions[..], [Cow::Borrowed(_)]));
        prop_assert_eq!(&*written.definitions[0], bytes);
        prop_assert!(written.renamed.is_empty());
        prop_assert!(!written.has_merged);
    }

    #[test]
    fn an_edit_changes_what_it_says_and_the_names((model, wishes) in (definitions(), wishes())) {
        let edits = edits(&model, &wishes);
        let before = model.ops();
        let by_name: HashMap<_, _> = edits.iter().map(|(op, edit)| (name(&before, *op), edit)).collect();
        let definition = Definition::parse(model.encode()).unwrap();
        let definitions = [definition];
        let (graph, plan) = planned(&definitions, |id| by_name.get(id).copied().cloned());
        let written = llb::write(&definitions, &graph, &plan, None);

        let (model, changed) = edited(&model, &edits);
        if is_refused(&model, &changed) {
            let is_refused = matches!(written, Err(WriteError::UnknownKind { .. }));
            prop_assert!(is_refused);
            return Ok(());
        }
        let written = written.unwrap();
        let after = model.ops();
        prop_assert_eq!(&*written.definitions[0], model.definition.encode(&after));
        for (place, is_changed) in changed.into_iter().enumerate() {
            let new = written.renamed.get(name(&before, place)).map(Digest::as_str);
            prop_assert_eq!(new, is_changed.then(|| name(&after, place)));
            prop_assert_eq!(before.bytes[place] != after.bytes[place], is_changed);
        }
        // Every input resolves, or this would fail.
        let again = Definition::parse(written.definitions[0].to_vec()).unwrap();
        prop_assert!(llb::read(&[again]).is_ok());
    }
}

fn exec(fields: Vec<Field>) -> Field {
    Field::message(number::EXEC, Message(fields))
}

fn mount(id: &str, sharing: u64) -> Field {
    let opt = Message(vec![Field::text(1, id), Field::new(2, Value::Varint(sharing))]);
    let fields = vec![Field::new(6, Value::Varint(3)), Field::message(number::CACHE_OPT, opt)];
    Field::message(number::MOUNTS, Message(fields))
}

fn op(place: usize) -> Field {
    Field::new(number::DEF, Value::Op(place))
}

fn edit_all(model: &Model, edit: &StepEdit) -> Vec<u8> {
    let definitions = [Definition::parse(model.encode()).unwrap()];
    let (graph, plan) = planned(&definitions, |_| Some(edit.clone()));
    llb::write(&definitions, &graph, &plan, None).unwrap().definitions[0].to_vec()
}

fn lock_all(model: &Model) -> Vec<u8> {
    let lock = CacheUse { key: CacheKey::new("/a"), sharing: Sharing::Locked };
    let edit = StepEdit { caches: BTreeMap::from([(0, lock)]), ..StepEdit::default() };
    edit_all(model, &edit)
}

#[test]
fn ops_that_become_equal_are_one_and_the_root_stays_the_last() {
    let shared = Message(vec![exec(vec![mount("/a", 0)])]);
    let locked = Message(vec![exec(vec![mount("/a", 2)])]);
    // The root is one of those that become equal, and stands there twice.
    let other = Message(vec![Field::text(11, "other")]);
    let model = Model {
        ops: vec![locked.clone(), shared, other.clone()],
        definition: Message(vec![op(1), op(0), op(2), op(0)]),
    };
    let expected = Model { ops: vec![locked, other], definition: Message(vec![op(1), op(0)]) };
    assert_eq!(lock_all(&model), expected.encode());
}

#[test]
fn an_op_with_two_commands_is_refused() {
    let command = || exec(vec![mount("/a", 0)]);
    let model = Model { ops: vec![Message(vec![command(), command()])], definition: Message(vec![op(0)]) };
    let error = Definition::parse(model.encode()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the build definition cannot be read: malformed protobuf: an op holds several commands"
    );
}

/// A group where a map belongs: prost decodes it as an entry of the map, with its first byte for the length.
#[test]
fn a_map_that_is_a_group_is_refused() {
    let model =
        Model { ops: vec![Message(vec![exec(vec![mount("/a", 0)])])], definition: Message(vec![op(0)]) };
    let metadata: &[u8] = &[0x13, 3, 0x0a, 1, 4];
    let locations: &[u8] = &[0x1a, 5, 0x0b, 3, 0x0a, 1, 4];
    for map in [metadata, locations] {
        Definition::parse([&model.encode(), map].concat()).unwrap_err();
    }
}

#[test]
fn an_id_that_is_no_text_and_a_mode_that_is_unknown_stay() {
    let opt = |sharing| {
        let fields = vec![Field::new(1, Value::Bytes(vec![0xff])), Field::new(2, Value::Varint(sharing))];
        Field::message(number::CACHE_OPT, Message(fields))
    };
    let model = |sharing| {
        let mount = Message(vec![Field::new(6, Value::Varint(3)), opt(sharing)]);
        let op = Message(vec![exec(vec![Field::message(number::MOUNTS, mount)])]);
        Model { ops: vec![op], definition: Message(vec![self::op(0)]) }
    };
    let written = |sharing| {
        let cache = CacheUse { key: CacheKey::new("\u{fffd}"), sharing };
        let edit = StepEdit { caches: BTreeMap::from([(0, cache)]), ..StepEdit::default() };
        edit_all(&model(7), &edit)
    };
    assert_eq!(written(Sharing::Shared), model(7).encode());
    assert_eq!(written(Sharing::Locked), model(2).encode());
}

#[test]
fn a_digest_is_a_sha256() {
    let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(Digest::of(b"").as_str(), empty);
}
