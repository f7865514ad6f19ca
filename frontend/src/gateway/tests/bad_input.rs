//! What no engine should send and no user should ask for: one clear error, never a panic, and the process ends.

use std::collections::HashMap;

use super::captured;
use super::engine::{Engine, single};
use super::ops::{definition, exec, op};
use crate::gateway::Options;
use crate::llb::wire::encode_bytes;

async fn error_of(definition: &[u8]) -> String {
    let asked = Engine::new(Ok(single(definition))).build(&[]).await;
    asked.error()
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
    let a = exec(&[], "/X", "a", 0);
    insta::assert_snapshot!(error_of(&definition(&[&op(&[&a], b"")])).await, @r"
    the build definition is incomplete: op sha256:e6b4f5ab383840e6304c11bd3ab8e146869200f0b55eeb16c82d8ebac738f81c needs sha256:13f445c82ae5b46bbccb8b104e36136d1b755bc7d0e398723ece00ad2f3a4c61, which is not in it
      help: with policy=off the build runs as it is; please report this with the engine's version
    ");
}

#[tokio::test]
async fn an_op_of_an_unknown_kind_is_passed_but_not_changed() {
    let (a, b) = (exec(&[], "/X", "a", 0), exec(&[], "/X", "b", 0));
    let unknown = op(&[], &encode_bytes(77, b"new"));
    let passed = definition(&[&a, &b, &unknown, &op(&[&a, &b, &unknown], b"")]);
    let asked = Engine::new(Ok(single(&passed))).build(&[]).await;
    let encoded = encode_bytes(1, &unknown);
    assert!(asked.definition(0).windows(encoded.len()).any(|window| window == encoded));

    let changed = op(&[&a], &encode_bytes(77, b"new"));
    insta::assert_snapshot!(error_of(&definition(&[&a, &b, &changed, &op(&[&b, &changed], b"")])).await, @r"
    op sha256:c6a2f12f8da588fd5a1a2f53678670221eb11d5db8d274166dba00fa6cdb1824 (no name) is of a kind that this version of ci-build does not know, and depends on a step to change
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
