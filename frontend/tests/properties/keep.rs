//! `CI_BUILD_NO_CACHE=keep` on whole definitions, against the same model as any other splice.

use std::borrow::Cow;

use ci_build_frontend::llb::{self, Definition, WriteError, keep_caches};
use proptest::prelude::*;

use crate::definition::{Model, definitions, number};
use crate::message::{Field, Message, Value};
use crate::splice::{change, is_refused, rename};

const IGNORE_CACHE: u32 = 1;

/// A definition, and for each op whether `--no-cache` is meant for it. Who has no metadata cannot be told.
fn marked() -> impl Strategy<Value = Model> {
    (definitions(), prop::collection::vec(any::<bool>(), 9)).prop_map(|(mut model, marks)| {
        on_metadata(&mut model, |op, metadata| {
            if marks[op] {
                metadata.0.push(Field::new(IGNORE_CACHE, Value::Varint(1)));
            }
        });
        model
    })
}

/// Changes the metadata of the ops, each known by its place.
fn on_metadata(model: &mut Model, mut each: impl FnMut(usize, &mut Message)) {
    change(&mut model.definition, number::METADATA, |entry| {
        let Some(Value::Name(op)) = entry.last(number::NAME) else { return };
        let op = *op;
        change(entry, 2, |metadata| each(op, metadata));
    });
}

fn is_marked(metadata: &Message) -> bool {
    metadata.last(IGNORE_CACHE) == Some(&Value::Varint(1))
}

fn mounts_caches(op: &Message) -> bool {
    let is_cache = |mount: &Message| mount.last(6) == Some(&Value::Varint(3));
    op.messages(number::EXEC).any(|exec| exec.messages(number::MOUNTS).any(is_cache))
}

/// The mount of an optional secret (`solver/pb/ops.proto`).
fn secret(nonce: &str) -> Field {
    let secret = vec![Field::text(1, &format!("ci-build-no-cache-{nonce}")), Field::new(5, Value::Varint(1))];
    let none = || Value::Varint(u64::MAX);
    let mount = vec![
        Field::new(1, none()),
        Field::text(3, "/.ci-build-no-cache"),
        Field::new(4, none()),
        Field::new(6, Value::Varint(1)),
        Field::message(21, Message(secret)),
    ];
    Field::message(number::MOUNTS, Message(mount))
}

/// The model with the nonce, and which ops are other than before.
fn kept(mut model: Model, nonce: &str) -> (Model, Vec<bool>) {
    let has_caches: Vec<_> = model.ops.iter().map(mounts_caches).collect();
    let mut anew = vec![false; model.ops.len()];
    on_metadata(&mut model, |op, metadata| {
        if has_caches[op] && is_marked(metadata) {
            anew[op] = true;
            metadata.set(IGNORE_CACHE, Value::Varint(0));
        }
    });
    let mut changed = anew.clone();
    for place in 0..model.ops.len() {
        let op = &mut model.ops[place];
        changed[place] |= rename(op, &changed);
        if anew[place] {
            change(op, number::EXEC, |exec| {
                let last = exec.0.iter().rposition(|field| field.number <= number::MOUNTS);
                exec.0.insert(last.map_or(0, |last| last + 1), secret(nonce));
            });
        }
    }
    rename(&mut model.definition, &changed);
    (model, changed)
}

proptest! {
    #![proptest_config(crate::cases(256))]

    #[test]
    fn without_no_cache_nothing_changes(model in definitions()) {
        let bytes = model.encode();
        let definition = Definition::parse(bytes.clone()).unwrap();
        let kept = keep_caches(&definition, "1").unwrap();
        prop_assert!(matches!(kept, Cow::Borrowed(_)));
        prop_assert_eq!(&*kept, bytes);
    }

    #[test]
    fn steps_with_caches_get_the_nonce_and_lose_the_mark(model in marked()) {
        let definition = Definition::parse(model.encode()).unwrap();
        let written = keep_caches(&definition, "1");
        let (model, changed) = kept(model, "1");
        if is_refused(&model, &changed) {
            let is_refused = matches!(written, Err(WriteError::UnknownKind { .. }));
            prop_assert!(is_refused);
            return Ok(());
        }
        let written = written.unwrap();
        prop_assert_eq!(&*written, model.encode());

        // Every input resolves, and there is nothing left to do.
        let again = Definition::parse(written.into_owned()).unwrap();
        prop_assert!(matches!(keep_caches(&again, "2"), Ok(Cow::Borrowed(_))));
        let caches = |definition: &Definition| {
            let graph = llb::read(std::slice::from_ref(definition)).unwrap();
            graph.caches().into_iter().map(|(key, users)| (key.id.clone(), users.len())).collect::<Vec<_>>()
        };
        prop_assert_eq!(caches(&again).len(), caches(&definition).len());
    }
}
