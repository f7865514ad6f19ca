//! Any bytes as a Dockerfile: refused at a place that there is, or read into instructions that follow each other.
//!
//! Every word that comes out is expanded and every mount is read, which may fail and must end.

#![no_main]

use ci_build_frontend::dockerfile::instruction::{Body, Instruction};
use ci_build_frontend::dockerfile::{expand, mount, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let dockerfile = match parse(bytes) {
        Ok(dockerfile) => dockerfile,
        Err(error) => {
            let lines = bytes.split(|byte| *byte == b'\n').count();
            assert!((1..=lines).contains(&(error.line as usize)), "{error}");
            return;
        }
    };
    let mut at = 0;
    let spans = dockerfile.directives.iter().map(|directive| directive.span);
    for span in spans.chain(dockerfile.instructions.iter().map(|instruction| instruction.span)) {
        assert_between(&dockerfile.source[at..span.range().start]);
        at = span.range().end;
    }
    assert_between(&dockerfile.source[at..]);
    for instruction in &dockerfile.instructions {
        check(instruction, dockerfile.source, dockerfile.escape);
        assert!(dockerfile.comments(instruction).all(|comment| !comment.text.is_empty()));
    }
});

/// Nothing but comments and blank lines.
fn assert_between(lines: &str) {
    for line in lines.trim_start_matches('\u{feff}').lines() {
        assert!(line.trim().is_empty() || line.trim_start().starts_with('#'), "{line:?}");
    }
}

fn check(instruction: &Instruction<'_>, source: &str, escape: char) {
    let lookup = |name: &str| (name.len() == 1).then(|| name.repeat(3));
    let expanded = |word: &str| {
        expand::expand(word, escape, &lookup)
            .map(|expanded| expanded.value)
            .map_err(|error| error.to_string())
    };
    for flag in instruction.flags() {
        // A continuation may lie between the dashes.
        assert!(flag.span.of(source).starts_with('-'));
        assert!(flag.line >= instruction.line);
        let value = flag.value.as_deref().unwrap_or_default();
        let _ = mount::parse(value, Some(&mut |value| expanded(value)));
    }
    for heredoc in instruction.heredocs() {
        assert!(source.get(heredoc.content.range()).is_some());
    }
    assert!(source.get(instruction.span.range()).is_some());
    match &instruction.body {
        Body::From(stage) => drop(expanded(&stage.base)),
        Body::Arg(args) => args.iter().flat_map(|(_, value)| value).for_each(|value| drop(expanded(value))),
        Body::Env(pairs) => pairs.iter().for_each(|(_, value)| drop(expanded(value))),
        Body::Copy(paths) => paths.iter().for_each(|path| drop(expanded(path))),
        Body::Onbuild(inner) => check(inner, source, escape),
        _ => {}
    }
}
