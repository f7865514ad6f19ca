//! `docker build --check`: our findings in upstream's answer.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};
use tonic::Status;

use super::captured;
use super::engine::{Asked, Engine, single};
use super::text::with_text;
use crate::llb::wire::{encode_bytes, get_bytes};

const RACE: &str = "docker-28.5/SharedCacheRace/two-stages";
const TEXT: &str = "FROM x AS a\n\nRUN a\nFROM x AS b\nRUN b &&\\\n  c\n";
const LINT: (&str, &str) = ("requestid", "frontend.lint");

/// Upstream's answer to a check of a text, with a warning of its own or an error.
fn answer(text: &str, more: &Value) -> Vec<u8> {
    let source = json!({"filename": "two-stages.Dockerfile", "language": "Dockerfile", "data": BASE64_STANDARD.encode(text)});
    let mut document = json!({"warnings": null, "sources": [source], "later": {"kept": true}});
    for (key, value) in more.as_object().expect("a map") {
        document[key] = value.clone();
    }
    let code = if document["warnings"].is_null() { "0" } else { "1" };
    let entry = |key: &str, value: &str| {
        encode_bytes(10, &[encode_bytes(1, key.as_bytes()), encode_bytes(2, value.as_bytes())].concat())
    };
    let document = document.to_string();
    let entries = [
        ("result.json", &*document),
        ("result.txt", "\nupstream's\n"),
        ("result.statuscode", code),
        ("version", "1"),
    ];
    entries.map(|(key, value)| entry(key, value)).concat()
}

/// The answer and, to the same question without the check, the build's definition.
fn with_build(answer: &[u8], text: &str) -> Vec<u8> {
    [answer.to_vec(), single(&with_text(&captured(RACE), text))].concat()
}

/// The entries of the metadata that were returned.
fn metadata(asked: &Asked, key: &str) -> String {
    let entries = crate::llb::wire::fields(asked.result()).filter_map(|field| match field.ok()?.value {
        crate::llb::wire::Value::Bytes(entry) if get_bytes(entry, 1).ok()?? == key.as_bytes() => {
            Some(String::from_utf8_lossy(get_bytes(entry, 2).ok()??).into_owned())
        }
        _ => None,
    });
    entries.last().expect("there is such metadata")
}

async fn check(text: &str, more: &Value, options: &[(&str, &str)]) -> (Vec<u8>, Asked) {
    let inner = with_build(&answer(text, more), text);
    let asked = Engine::new(Ok(inner.clone())).build(&[&[LINT], options].concat()).await;
    (inner, asked)
}

#[tokio::test]
async fn findings_stand_behind_upstreams() {
    let theirs = json!({"warnings": [{"ruleName": "Theirs", "location": {"ranges": []}}]});
    let (_, asked) = check(TEXT, &theirs, &[]).await;
    insta::assert_snapshot!(metadata(&asked, "result.json"), @r#"
    {
      "warnings": [
        {
          "location": {
            "ranges": []
          },
          "ruleName": "Theirs"
        },
        {
          "description": "concurrent steps mount one cache with sharing=shared, and at least one of them may write",
          "detail": "2 concurrent steps use the cache /cache at once with sharing=shared: two-stages.Dockerfile:3 (stage a), two-stages.Dockerfile:5 (stage b)",
          "location": {
            "ranges": [
              {
                "end": {
                  "line": 6
                },
                "start": {
                  "line": 5
                }
              }
            ],
            "sourceIndex": 0
          },
          "ruleName": "SharedCacheRace"
        }
      ],
      "sources": [
        {
          "filename": "two-stages.Dockerfile",
          "data": "RlJPTSB4IEFTIGEKClJVTiBhCkZST00geCBBUyBiClJVTiBiICYmXAogIGMK",
          "language": "Dockerfile"
        }
      ],
      "later": {
        "kept": true
      }
    }
    "#);
    insta::assert_snapshot!(metadata(&asked, "result.txt"), @r"
    upstream's

    WARNING: SharedCacheRace
    2 concurrent steps use the cache /cache at once with sharing=shared: two-stages.Dockerfile:3 (stage a), two-stages.Dockerfile:5 (stage b)
    two-stages.Dockerfile:5
    --------------------
       4 |     FROM x AS b
       5 | >>> RUN b &&\
       6 | >>>   c
       7 |     
    --------------------
    ");
    assert_eq!(metadata(&asked, "result.statuscode"), "1");
    assert_eq!(metadata(&asked, "version"), "1");
    assert_eq!((asked.warnings.len(), asked.definitions.len(), asked.named.len()), (0, 0, 0));
    // The question first, then what it is about.
    let requests: Vec<_> =
        asked.frontends.iter().map(|solve| solve.frontend_opt.contains_key("requestid")).collect();
    assert_eq!(requests, [true, false]);
}

#[tokio::test]
async fn what_finds_nothing_leaves_the_answer_as_it_is() {
    let skips = format!("# check=skip=SharedCacheRace\n{}", TEXT.replacen("\n\n", "\n", 1));
    let unknown = TEXT.replacen("\n\n", "\nNEWER x\n", 1);
    let cases: [(&str, &[(&str, &str)]); 5] = [
        (TEXT, &[("build-arg:CI_BUILD_CHECK", "off")]),
        (TEXT, &[("build-arg:CI_BUILD_POLICY", "off")]),
        (TEXT, &[("build-arg:BUILDKIT_DOCKERFILE_CHECK", "skip=all")]),
        (&skips, &[]),
        (&unknown, &[]),
    ];
    for (text, options) in cases {
        let (inner, asked) = check(text, &json!({}), options).await;
        assert_eq!(asked.result(), inner, "{options:?}");
    }
    let other = with_build(&answer(TEXT, &json!({})), TEXT);
    let asked = Engine::new(Ok(other.clone())).build(&[("requestid", "frontend.outline")]).await;
    assert_eq!((asked.result(), asked.frontends.len()), (&*other, 1));
}

#[tokio::test]
async fn a_file_that_wants_errors_gets_one() {
    let text = format!("# check=error=true\n{}", TEXT.replacen("\n\n", "\n", 1));
    let error = async |more: &Value| {
        let (_, asked) = check(&text, more, &[]).await;
        let document: Value = serde_json::from_str(&metadata(&asked, "result.json")).unwrap();
        document["buildError"]["message"].clone()
    };
    assert_eq!(error(&json!({})).await, "lint violation found for rules: SharedCacheRace");
    let theirs = json!({"buildError": {"message": "theirs", "location": {}}});
    assert_eq!(error(&theirs).await, "theirs");
}

#[tokio::test]
async fn a_build_that_cannot_be_lowered_is_read_from_its_text() {
    let race = "--mount=type=cache,target=/cache";
    let text = format!("FROM x AS a\nRUN {race} a\nFROM x\nRUN {race} b\nCOPY --from=a / /\n");
    // The answer alone: the build itself gives no definition.
    let reference = encode_bytes(3, &encode_bytes(1, b"inner"));
    let inner = [answer(&text, &json!({})), reference].concat();
    let asked = Engine::new(Ok(inner.clone())).build(&[LINT]).await;
    assert!(metadata(&asked, "result.txt").contains("WARNING: SharedCacheRace\n"));
    let target = Engine::new(Ok(inner.clone())).build(&[LINT, ("target", "a")]).await;
    assert_eq!(target.result(), inner);
}

#[tokio::test]
async fn what_upstream_refuses_is_refused() {
    let asked = Engine::new(Err(Status::unimplemented("no such request"))).build(&[LINT]).await;
    assert_eq!(asked.error(), "no such request");
    let (_, wrong) = check(&TEXT.replacen("\n\n", "\n# ci-build: policy=fast\n", 1), &json!({}), &[]).await;
    assert!(
        wrong.error().starts_with("two-stages.Dockerfile:2: there is no policy \"fast\""),
        "{}",
        wrong.error()
    );
}
