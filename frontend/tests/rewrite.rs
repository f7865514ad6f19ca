//! Rewritten texts: what people read, and what always holds of them.

use std::fmt::Write;

use ci_build_frontend::dockerfile::{self, Options, RewriteError, Rewritten};
use ci_build_frontend::hazard::{self, Severity};
use ci_build_frontend::plan::Policy;
use proptest::prelude::*;

/// The policies that mend all by themselves. A primer cannot be written into a text.
const POLICIES: [Policy; 4] = [Policy::Auto, Policy::Lock, Policy::Order, Policy::Namespace];

fn options(platforms: &[&str]) -> Options {
    let mut options = Options::default();
    if !platforms.is_empty() {
        options.platforms = platforms.iter().map(|platform| platform.parse().expect("it is one")).collect();
    }
    options
}

fn rewrite(source: &str, policy: Policy, platforms: &[&str]) -> Result<Rewritten, RewriteError> {
    dockerfile::rewrite(source.as_bytes(), &options(platforms), &policy.into())
}

/// What `check` would still say of a text, from a warning on.
fn left(text: &str, platforms: &[&str]) -> Vec<String> {
    let dockerfile = dockerfile::parse(text.as_bytes()).expect("a rewritten text parses");
    let graph = dockerfile::read("Dockerfile", &dockerfile, &options(platforms)).expect("it is built");
    let left = hazard::find(&graph).into_iter().filter(|finding| finding.severity >= Severity::Warning);
    left.map(|finding| format!("{:?}: {}", finding.rule, finding.message)).collect()
}

/// Every policy's changes and text; lines that stay are left out, and a CR is shown.
fn shown(source: &str, platforms: &[&str]) -> String {
    let mut text = String::new();
    for policy in POLICIES {
        let _ = writeln!(text, "policy={policy}");
        match rewrite(source, policy, platforms) {
            Err(error) => _ = writeln!(text, "  error: {error}"),
            Ok(new) => {
                assert_eq!(left(&new.text, platforms), [""; 0], "{policy}: {}", new.text);
                for edit in &new.edits {
                    let _ = writeln!(text, "  {}: {}: {}", edit.line, edit.cache, edit.what);
                }
                let mut old: Vec<_> = source.lines().collect();
                for line in new.text.split_inclusive('\n') {
                    let line = line.strip_suffix('\n').unwrap_or(line);
                    match old.iter().position(|old| *old == line.trim_end_matches('\r')) {
                        Some(place) => _ = old.drain(..=place),
                        None => _ = writeln!(text, "  | {}", line.replace('\r', "<CR>")),
                    }
                }
            }
        }
    }
    text
}

#[test]
fn hazards_of_testdata_are_mended_in_text() {
    insta::glob!("../../testdata/dockerfiles", "{Cache,Mixed,Shared}*/*.Dockerfile", |path| {
        insta::assert_snapshot!(shown(&std::fs::read_to_string(path).unwrap(), &[]));
    });
}

#[test]
fn what_has_no_hazard_keeps_every_byte() {
    insta::glob!("../../testdata/dockerfiles", "none/*.Dockerfile", |path| {
        let source = std::fs::read_to_string(path).unwrap();
        for policy in Policy::ALL {
            let new = rewrite(&source, policy, &[]).unwrap();
            assert_eq!((new.text, new.edits), (source.clone(), vec![]));
        }
    });
}

#[test]
fn layout_and_comments_stay() {
    insta::assert_snapshot!(shown(
        "# escape=`\r\n\r\nFROM x AS a\r\n# why\r\nRUN --mount=type=cache,`\r\n# within\r\n\r\ntarget=/c --network=none `\r\n  make\r\n\r\nFROM x AS b\r\nRUN --mount='type=cache,\"target=/c\",sharing=shared' <<E\r\nmake\r\nE\r\n# the end\r\nFROM x\r\nCOPY --from=a / /\r\nCOPY --from=1 / /",
        &[],
    ));
}

#[test]
fn platforms_get_names_by_a_variable() {
    insta::assert_snapshot!(shown(
        "FROM x AS a\n# a comment\nRUN --mount=type=cache,target=/c make\nFROM x AS b\nARG TARGETPLATFORM\nRUN --mount=type=cache,target=/c make b\nFROM x\nCOPY --from=a / /\nCOPY --from=b / /\n",
        &["linux/amd64", "linux/arm64"],
    ));
}

#[test]
fn locks_of_several_platforms_have_a_gate_each() {
    insta::assert_snapshot!(shown(
        "FROM x AS a\nRUN --mount=type=cache,id=X,target=/a,sharing=locked --mount=type=cache,id=Y,target=/.b,sharing=locked make\nFROM x AS b\nRUN --mount=type=cache,id=X,target=/a,sharing=locked --mount=type=cache,id=Y,target=/b,sharing=locked make\nFROM x\nCOPY --from=a / /\nCOPY --from=b / /\n",
        &["linux/amd64", "linux/arm64"],
    ));
}

#[test]
fn triggers_are_locked_and_not_put_in_order() {
    insta::assert_snapshot!(shown(
        "FROM x AS base\nONBUILD RUN --mount=type=cache,target=/c make\nFROM base AS a\nRUN a\nFROM base AS b\nENV B=1\nRUN b\nFROM x AS c\nRUN --mount=type=cache,target=/c c\nFROM x\nCOPY --from=a / /\nCOPY --from=b / /\nCOPY --from=c / /\n",
        &[],
    ));
}

#[test]
fn repeated_and_unnamed_stages_are_copied_by_number() {
    insta::assert_snapshot!(shown(
        "FROM x AS a\nRUN --mount=type=cache,target=/c one\nFROM x AS a\nRUN --mount=type=cache,target=/c two\nFROM x\nRUN --mount=type=cache,target=/c three\nFROM x\nCOPY --from=0 / /\nCOPY --from=1 / /\nCOPY --from=2 / /\n",
        &[],
    ));
}

/// A Dockerfile of stages with caches, which build on and copy from each other.
fn dockerfiles() -> impl Strategy<Value = String> {
    let mount = (
        prop::sample::select(vec![
            "/c",
            "/d/",
            "/a/../c",
            "/root/.m2",
            "/go/pkg/mod",
            "/.k",
            "/c/in",
            "$DIR",
            "/w x",
        ]),
        prop::option::of(prop::sample::select(vec!["x", "y", "/z", "$DIR", "a,b", "${N:-n}"])),
        prop::option::of(prop::sample::select(vec!["shared", "locked", "private", "${MODE}"])),
        prop::sample::select(vec!["", "", "", "ro", "uid=5", "from=s0"]),
        0..4_u8,
    );
    let run = (prop::collection::vec(mount, 0..4), 0..4_u8);
    let stage = (
        prop::collection::vec(run, 0..3),
        prop::option::of(0..6_usize),
        prop::option::of(0..6_usize),
        any::<bool>(),
        any::<bool>(),
    );
    let stages = prop::collection::vec(stage, 1..6);
    (stages, any::<bool>()).prop_map(|(stages, is_crlf)| {
        let mut text = String::from("# comment\nARG N\n");
        let count = stages.len();
        for (at, (runs, base, from, by_number, is_trigger)) in stages.into_iter().enumerate() {
            let base = base.filter(|base| *base < at).map_or("x".to_owned(), |base| format!("s{base}"));
            let _ = writeln!(text, "\n# stage {at}\nFROM {base} AS s{at}\nARG DIR=/dir\nARG MODE=shared");
            if let Some(from) = from.filter(|from| *from < at) {
                let name = if by_number { from.to_string() } else { format!("s{from}") };
                let _ = writeln!(text, "COPY --from={name} /a /b");
            }
            for (number, (mounts, command)) in runs.into_iter().enumerate() {
                let trigger = if is_trigger && number == 0 { "ONBUILD " } else { "" };
                let _ = write!(text, "{trigger}RUN");
                for (target, id, sharing, more, form) in mounts {
                    let mut fields = vec!["type=cache".to_owned(), format!("target={target}")];
                    fields.extend(id.map(|id| {
                        if id.contains(',') { format!("\"id={id}\"") } else { format!("id={id}") }
                    }));
                    fields.extend(sharing.map(|sharing| format!("sharing={sharing}")));
                    if !more.is_empty() && (more != "from=s0" || at > 0) {
                        fields.push(more.to_owned());
                    }
                    let value = fields.join(",");
                    let value = match form {
                        1 => value.replace(",sharing", ",\\\n# within\n\nsharing"),
                        _ => value,
                    };
                    let is_bare = !value.contains([' ', '"', '\n']);
                    let _ = match form {
                        0 if is_bare => write!(text, " --mount={value}"),
                        2 => write!(text, " \\\n  --mount=\"{}\"", value.replace('"', "\\\"")),
                        _ => write!(text, " --mount='{value}'"),
                    };
                }
                let _ = writeln!(text, " c{command}");
            }
        }
        let _ = writeln!(text, "FROM x");
        for at in 0..count {
            let _ = writeln!(text, "COPY --from=s{at} /a /a{at}");
        }
        if is_crlf { text.replace('\n', "\r\n") } else { text }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn nothing_is_left_after_rewriting(
        source in dockerfiles(),
        policy in prop::sample::select(POLICIES.to_vec()),
        two in any::<bool>(),
    ) {
        let platforms: &[&str] = if two { &["linux/amd64", "linux/arm64"] } else { &[] };
        match rewrite(&source, policy, platforms) {
            Ok(new) => {
                prop_assert_eq!(left(&new.text, platforms), [""; 0], "{}", new.text);
                prop_assert_eq!(new.edits.is_empty(), new.text == source);
                let again = rewrite(&new.text, policy, platforms).unwrap();
                prop_assert_eq!(again.text, new.text);
            }
            // A text may be refused, but never for what the writer made of it.
            Err(RewriteError::Write(error)) => prop_assert!(
                error.message.contains("several names"), "{}:{}\n{}", error.line, error.message, source
            ),
            Err(_) => {}
        }
    }

    #[test]
    fn without_a_plan_every_byte_stays(source in dockerfiles(), any in "(FROM x\n)?\\PC{0,60}(\r?\n|\\PC){0,20}") {
        for source in [source, any] {
            if let Ok(new) = rewrite(&source, Policy::Off, &[]) {
                prop_assert_eq!(new.text, source);
            }
        }
    }
}
