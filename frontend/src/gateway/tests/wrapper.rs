//! What a wrapper of the Dockerfile frontend must keep.

use std::collections::HashMap;

use prost::Message;
use tonic::{Code, Status};

use super::engine::{Engine, reference, single};
use super::ops::{definition, exec, op};
use super::{all_captured, captured};
use crate::llb::wire::{self, WireError, encode_bytes, encode_varint};
use crate::llb::{self, Definition};

const RACE: &str = "docker-28.5/SharedCacheRace/two-stages";
const PLAIN: &str = "docker-28.5/none/stages";

#[tokio::test]
async fn a_build_without_hazards_is_solved_byte_for_byte_and_says_nothing() {
    for name in ["docker-28.5/none/stages", "docker-28.5/none/one-stage", "docker-20.10/none/two-lines"] {
        let engine = Engine::new(Ok(single(&captured(name))));
        let asked = engine.build(&[("source", "x")]).await;
        assert_eq!(asked.definition(0), captured(name), "{name}");
        assert_eq!((asked.warnings.len(), asked.run.len(), asked.pings), (0, 0, 0));
    }
}

#[tokio::test]
async fn with_policy_off_every_definition_is_solved_byte_for_byte() {
    let mut definitions = all_captured();
    assert!(definitions.len() > 30, "only {} definitions", definitions.len());
    definitions.push(b"\xff\xff no protobuf".to_vec());
    for definition in definitions {
        let engine = Engine::new(Ok(single(&definition)));
        let asked = engine.build(&[("cmdline", "image policy=off")]).await;
        assert_eq!(asked.definition(0), definition);
        assert_eq!(asked.warnings.len(), 0);
    }
}

#[tokio::test]
async fn a_hazard_is_mended_and_told_once() {
    let engine = Engine::new(Ok(single(&captured(RACE))));
    let asked = engine.build(&[]).await;
    let solved = Definition::parse(asked.definition(0).to_vec()).unwrap();
    let graph = llb::read(std::slice::from_ref(&solved)).unwrap();
    assert_eq!(crate::hazard::find(&graph), []);
    insta::assert_snapshot!(asked.names().join("\n"), @"two-stages.Dockerfile:3 (stage a), two-stages.Dockerfile:5 (stage b): each may wait for another to release /cache");
    let [warning] = &*asked.warnings else { panic!("{:?}", asked.warnings) };
    insta::assert_snapshot!(warning.short, @"SharedCacheRace: 2 concurrent steps use the cache /cache at once with sharing=shared: two-stages.Dockerfile:3 (stage a), two-stages.Dockerfile:5 (stage b); ci-build has them lock /cache, and each may wait for the others (line 5)");
    assert!(graph.steps().any(|(_, step)| step.id == warning.digest), "it is about a step that is solved");
    assert_eq!(Some((warning.info.clone().unwrap(), warning.ranges.clone())), {
        let source = solved.source_of(&warning.digest);
        source.map(|source| (source.info, source.ranges))
    });
}

#[tokio::test]
async fn an_order_is_solved_and_told() {
    let engine = Engine::new(Ok(single(&captured(RACE))));
    let asked = engine.build(&[("cmdline", "image policy=order")]).await;
    let solved = Definition::parse(asked.definition(0).to_vec()).unwrap();
    let graph = llb::read(&[solved]).unwrap();
    assert_eq!(crate::hazard::find(&graph), []);
    let waits = graph.steps().map(|(_, step)| &*step.title).filter(|title| title.starts_with("wait for "));
    assert_eq!(waits.count(), 2);
    let [warning] = &*asked.warnings else { panic!("{:?}", asked.warnings) };
    assert!(warning.short.contains("ci-build has them run one after the other"), "{}", warning.short);
    assert!(graph.steps().any(|(_, step)| step.id == warning.digest), "it is about a step that is solved");
}

/// Two steps that differ in a sharing mode alone become one, and with them the caches that start from their results.
#[tokio::test]
async fn caches_that_become_one_are_kept_apart_too() {
    let bases = [0, 2].map(|sharing| exec(&[], "/base", "base", sharing));
    let users = [("a", 0), ("b", 1)].map(|(name, base)| exec(&[&bases[base]], "/own", name, 0));
    let root = op(&[&users[0], &users[1]], b"");
    let engine = Engine::new(Ok(single(&definition(&[&bases[0], &bases[1], &users[0], &users[1], &root]))));
    let asked = engine.build(&[]).await;
    let solved = Definition::parse(asked.definition(0).to_vec()).unwrap();
    let graph = llb::read(&[solved]).unwrap();
    assert_eq!(graph.steps().count(), 4);
    assert_eq!(crate::hazard::find(&graph), []);
    assert_eq!(asked.warnings.len(), 2);
    for warning in &asked.warnings {
        assert!(graph.steps().any(|(_, step)| step.id == warning.digest), "{warning:?}");
    }
}

#[tokio::test]
async fn an_engine_without_warnings_runs_a_step_with_the_notice_as_its_name() {
    let mut engine = Engine::new(Ok(single(&captured("docker-20.10/SharedCacheRace/two-stages"))));
    engine.warnings = false;
    let asked = engine.build(&[]).await;
    assert_eq!((asked.warnings.len(), asked.definitions.len(), asked.run.len()), (0, 1, 1));
    insta::assert_snapshot!(asked.names().join("\n"), @"SharedCacheRace: 2 concurrent steps use the cache /cache at once with sharing=shared: two-stages.Dockerfile:3 (stage a), two-stages.Dockerfile:5 (stage b); ci-build has them lock /cache, and each may wait for the others (line 5)");
}

#[tokio::test]
async fn options_inputs_and_caches_are_passed_on() {
    let mut engine = Engine::new(Ok(single(&captured(RACE))));
    engine.inputs = HashMap::from([("context::linux/amd64".to_owned(), b"encoded".to_vec())]);
    let imports = r#"[{"Type":"local","Attrs":{"src":"dir"}},{"type":"gha"}]"#;
    let options = [
        ("source", "image"),
        ("cmdline", "image policy=lock"),
        ("cache-imports", imports),
        ("cache-from", "registry/one,registry/two"),
        ("build-arg:A", "1"),
    ];
    let asked = engine.build(&options).await;
    let [inner] = &*asked.frontends else { panic!("{:?}", asked.frontends) };
    assert_eq!(inner.frontend, "dockerfile.v0");
    assert_eq!(inner.frontend_inputs, engine.inputs);
    let expected = options[1..].iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    assert_eq!(inner.frontend_opt, expected.collect());
    for solve in asked.frontends.iter().chain(&asked.definitions) {
        let imports = solve.cache_imports.iter();
        let imports: Vec<_> = imports.map(|import| (import.r#type.as_str(), &import.attrs)).collect();
        let attrs = |key: &str, value: &str| HashMap::from([(key.to_owned(), value.to_owned())]);
        assert_eq!(
            imports,
            [
                ("local", &attrs("src", "dir")),
                ("gha", &HashMap::new()),
                ("registry", &attrs("ref", "registry/one")),
                ("registry", &attrs("ref", "registry/two")),
            ]
        );
    }
}

#[tokio::test]
async fn an_error_of_the_inputs_ends_the_build_as_it_came() {
    let mut engine = Engine::new(Ok(single(&captured(PLAIN))));
    engine.inputs_error = Some(Status::unknown("the caller's inputs cannot be had"));
    let asked = engine.build(&[]).await;
    assert_eq!(asked.error(), "the caller's inputs cannot be had");
    assert_eq!((asked.frontends.len(), asked.definitions.len()), (0, 0));
    // An engine that does not know the question has none.
    engine.inputs_error = Some(Status::unimplemented("unknown method Inputs"));
    let asked = engine.build(&[]).await;
    assert_eq!(asked.definition(0), captured(PLAIN));
    assert_eq!(asked.frontends[0].frontend_inputs, HashMap::new());
}

#[tokio::test]
async fn platforms_attestations_empty_references_and_metadata_survive() {
    let entry = |key: &str, value: &[u8]| [encode_bytes(1, key.as_bytes()), encode_bytes(2, value)].concat();
    let attestation = |reference: &[u8]| {
        [encode_varint(1, 1), encode_bytes(2, b"\x0a\x01k"), reference.to_vec(), encode_bytes(5, b"type")]
            .concat()
    };
    let result = |first: &[u8], empty: &[u8], attested: &[u8]| {
        let refs =
            [encode_bytes(1, &entry("linux/amd64", first)), encode_bytes(1, &entry("linux/arm64", empty))]
                .concat();
        let attestations = encode_bytes(1, &attestation(&encode_bytes(3, attested)));
        [
            encode_bytes(4, &refs),
            encode_bytes(10, &entry("containerimage.config", b"{}")),
            encode_bytes(12, &entry("linux/amd64", &attestations)),
            encode_bytes(99, b"unknown"),
        ]
        .concat()
    };
    let race = captured(RACE);
    let engine = Engine::new(Ok(result(&reference("a", &race), b"", &reference("c", &captured(PLAIN)))));
    let asked = engine.build(&[]).await;
    assert_eq!(asked.definitions.len(), 2);
    let id = |id: &str| encode_bytes(1, id.as_bytes());
    // Which of the two is solved first does not matter.
    let first = if asked.definition(0) == captured(PLAIN) {
        ["solved-2", "solved-1"]
    } else {
        ["solved-1", "solved-2"]
    };
    assert_eq!(asked.result(), result(&id(first[0]), b"", &id(first[1])));
    assert_eq!(asked.warnings.len(), 1);
}

#[tokio::test]
async fn a_question_about_the_dockerfile_gets_the_inner_answer() {
    let answer = encode_bytes(10, &[encode_bytes(1, b"result.json"), encode_bytes(2, b"{}")].concat());
    let engine = Engine::new(Ok(answer.clone()));
    let asked = engine.build(&[("requestid", "frontend.lint")]).await;
    assert_eq!(asked.result(), answer);
    assert_eq!(asked.definitions.len(), 0);
}

#[tokio::test]
async fn an_error_of_the_dockerfile_goes_back_with_its_details() {
    let detail = [encode_bytes(1, b"type.googleapis.com/errdefs.Source"), encode_bytes(2, b"where")].concat();
    let message = "dockerfile parse error on line 3: unknown instruction: FOO";
    let details =
        [encode_varint(1, 3), encode_bytes(2, message.as_bytes()), encode_bytes(3, &detail)].concat();
    let status = Status::with_details(Code::InvalidArgument, message, details.clone().into());
    let asked = Engine::new(Err(status)).build(&[]).await;
    assert_eq!(asked.returned[0].error.as_deref(), Some(&*details));
    assert_eq!(asked.error(), message);
    let plain = Engine::new(Err(Status::new(Code::Unknown, "plain"))).build(&[]).await;
    let status = super::super::messages::RpcStatus { code: 2, message: "plain".to_owned() };
    assert_eq!(plain.returned[0].error, Some(status.encode_to_vec()));
}

/// Each way through a gateway turns the typed details round, and leaves traces of the stack as they are.
#[tokio::test]
async fn an_errors_positions_go_back_turned_round() {
    let detail = |kind: &str, value: &str| {
        let kind = format!("github.com/moby/buildkit/{kind}+json");
        encode_bytes(3, &[encode_bytes(1, kind.as_bytes()), encode_bytes(2, value.as_bytes())].concat())
    };
    let (source, vertex) = (|value| detail("errdefs.Source", value), detail("errdefs.Vertex", "v"));
    let (inner, outer) = (detail("stack.Stack", "inner"), detail("stack.Stack", "outer"));
    let status = |details: &[&Vec<u8>]| {
        let head = [encode_varint(1, 2), encode_bytes(2, b"circular dependency")].concat();
        details.iter().fold(head, |status, detail| [status, (*detail).clone()].concat())
    };
    let (first, second) = (source("first"), source("second"));
    let came = status(&[&inner, &outer, &first, &vertex, &second]);
    let error = Status::with_details(Code::Unknown, "circular dependency", came.into());
    let asked = Engine::new(Err(error)).build(&[]).await;
    let gone = status(&[&inner, &outer, &second, &vertex, &first]);
    assert_eq!(asked.returned[0].error, Some(gone));

    let unread = Status::with_details(Code::Unknown, "no status", (&b"\xff\xff"[..]).into());
    let asked = Engine::new(Err(unread)).build(&[]).await;
    assert_eq!(asked.returned[0].error.as_deref(), Some(&b"\xff\xff"[..]));
}

#[tokio::test]
async fn no_cache_keeps_caches_only_where_that_is_asked_for() {
    let marked = with_ignore_cache(&captured(PLAIN));
    let build = async |options: &[(&str, &str)]| {
        let asked = Engine::new(Ok(single(&marked))).build(options).await;
        asked.definition(0).to_vec()
    };
    let (no_cache, keep) = (("no-cache", ""), ("build-arg:CI_BUILD_NO_CACHE", "keep"));
    assert_eq!(build(&[]).await, marked);
    assert_eq!(build(&[no_cache]).await, marked);
    assert_eq!(build(&[no_cache, ("build-arg:CI_BUILD_NO_CACHE", "upstream")]).await, marked);
    assert_eq!(build(&[keep]).await, marked);
    let kept = build(&[no_cache, keep]).await;
    assert_ne!(kept, marked);
    assert_ne!(kept, build(&[no_cache, keep]).await, "each build has a nonce of its own");
    assert_ne!(build(&[no_cache, keep, ("build-arg:CI_BUILD_POLICY", "off")]).await, marked);
}

/// The same definition as `--no-cache` has it.
fn with_ignore_cache(definition: &[u8]) -> Vec<u8> {
    let mark = |entry| wire::map_bytes(entry, 2, |metadata| wire::set_varint(metadata, 1, 1));
    wire::map_bytes::<WireError>(definition, 2, mark).expect("what an engine gave").into_owned()
}

#[tokio::test]
async fn the_frontend_behind_us_is_the_engines_own_or_an_image() {
    let engine = Engine::new(Ok(single(&captured(PLAIN))));
    for (line, frontend, source) in
        [("us", "dockerfile.v0", None), ("us upstream=them", "gateway.v0", Some("them"))]
    {
        let asked = engine.build(&[("source", "us"), ("cmdline", line)]).await;
        assert_eq!(asked.frontends[0].frontend, frontend);
        assert_eq!(asked.frontends[0].frontend_opt.get("source").map(String::as_str), source);
    }
}
