//! What no engine should send and no user should ask for: one clear error, never a panic, and the process ends.

use std::collections::HashMap;

use super::captured;
use super::engine::{Engine, single};
use crate::gateway::Options;
use crate::llb::Digest;
use crate::llb::wire::{encode_bytes, encode_varint};

async fn error_of(definition: &[u8]) -> String {
    let asked = Engine::new(Ok(single(definition))).build(&[]).await;
    asked.error()
}

/// An op with these inputs and fields.
fn op(inputs: &[&[u8]], fields: &[u8]) -> Vec<u8> {
    let input = |op: &&[u8]| encode_bytes(1, &encode_bytes(1, Digest::of(op).as_str().as_bytes()));
    inputs.iter().flat_map(input).chain(fields.iter().copied()).collect()
}

/// An exec op that mounts the cache `/X` at `/x`, shared.
fn exec(name: &str) -> Vec<u8> {
    let mount = [
        encode_varint(1, -1_i64 as u64),
        encode_bytes(3, b"/x"),
        encode_varint(6, 3),
        encode_bytes(20, &encode_bytes(1, b"/X")),
    ];
    let meta = encode_bytes(1, name.as_bytes());
    op(&[], &encode_bytes(2, &[encode_bytes(1, &meta), encode_bytes(2, &mount.concat())].concat()))
}

fn definition(ops: &[&[u8]]) -> Vec<u8> {
    ops.iter().flat_map(|op| encode_bytes(1, op)).collect()
}

#[tokio::test]
async fn a_definition_that_cannot_be_read() {
    insta::assert_snapshot!(error_of(b"\xff\xff no protobuf").await, @r"
    the build definition cannot be read: failed to decode Protobuf message: invalid wire type value: 7
      help: with policy=off the build runs as it is; please report this with the engine's version
    ");
}

#[tokio::test]
async fn an_op_that_is_missing() {
    let a = exec("a");
    insta::assert_snapshot!(error_of(&definition(&[&op(&[&a], b"")])).await, @r"
    the build definition is incomplete: op sha256:d5a2d7c4f5a1815138150771e04940ab1c7ebe6e23dd6fbe83da598688eb90e0 needs sha256:aabd05e0c39454f1bcee6db4f3d5a2c6455129609eb710919e63bd1242b1de85, which is not in it
      help: with policy=off the build runs as it is; please report this with the engine's version
    ");
}

#[tokio::test]
async fn an_op_of_an_unknown_kind_is_passed_but_not_changed() {
    let (a, b) = (exec("a"), exec("b"));
    let unknown = op(&[], &encode_bytes(77, b"new"));
    let passed = definition(&[&a, &b, &unknown, &op(&[&a, &b, &unknown], b"")]);
    let asked = Engine::new(Ok(single(&passed))).build(&[]).await;
    let encoded = encode_bytes(1, &unknown);
    assert!(asked.definition(0).windows(encoded.len()).any(|window| window == encoded));

    let changed = op(&[&a], &encode_bytes(77, b"new"));
    insta::assert_snapshot!(error_of(&definition(&[&a, &b, &changed, &op(&[&b, &changed], b"")])).await, @r"
    op sha256:c14326f82391a29f68ec2478eb03d336b95f0672a818ada93755010ed85749fd (no name) is of a kind that this version of ci-build does not know, and depends on a step to change
      help: with policy=off the build runs as it is; a newer ci-build may know this
    ");
}

#[tokio::test]
async fn an_answer_without_definitions() {
    let result = encode_bytes(3, &encode_bytes(1, b"inner"));
    let asked = Engine::new(Ok(result.clone())).build(&[]).await;
    insta::assert_snapshot!(asked.error(), @r"
    the engine gave back no build definition, so its cache mounts cannot be kept apart
      help: this takes Docker 20.10 or BuildKit 0.8; with policy=off the build runs as it is
    ");
    let off = Engine::new(Ok(result.clone())).build(&[("build-arg:CI_BUILD_POLICY", "off")]).await;
    assert_eq!(off.result(), result);
}

#[tokio::test]
async fn an_answer_that_is_no_result() {
    let asked = Engine::new(Ok(b"\x1a\xff".to_vec())).build(&[]).await;
    insta::assert_snapshot!(asked.error(), @r"
    the engine's answer cannot be read: malformed protobuf: failed to decode Protobuf message: invalid varint
      help: please report this with the engine's version
    ");
}

#[tokio::test]
async fn messages_over_16_mib_either_way() {
    let from_engine = vec![0; 17 << 20];
    let to_engine = encode_bytes(3, &encode_bytes(2, &vec![0; (16 << 20) - 5]));
    for inner in
        [encode_bytes(10, &from_engine), [encode_bytes(3, &encode_bytes(1, b"id")), to_engine].concat()]
    {
        let asked = Engine::new(Ok(inner)).build(&[("cmdline", "image policy=off")]).await;
        let error = asked.error();
        assert!(error.starts_with("the build definition does not fit into a message of 16 MiB"), "{error}");
        assert!(error.contains("\n  help: "), "{error}");
    }
}

#[tokio::test]
async fn a_policy_that_does_not_exist_ends_the_build_before_anything_is_asked() {
    let engine = Engine::new(Ok(single(&captured("docker-28.5/none/two-lines"))));
    let options = HashMap::from([("cmdline".to_owned(), "image policy=fast".to_owned())]);
    engine.serve(Options::new(options)).await.unwrap();
    let asked = engine.asked.lock().unwrap();
    assert!(asked.error().starts_with("# syntax line: there is no policy \"fast\""), "{}", asked.error());
    assert_eq!(asked.frontends.len(), 0);
}

#[tokio::test]
async fn an_engine_that_goes_away_ends_the_process() {
    let (ours, theirs) = tokio::io::duplex(64);
    drop(theirs);
    let served = crate::gateway::serve(ours, Ok(Options::default()), crate::gateway::build).await;
    assert!(served.is_err());
}
