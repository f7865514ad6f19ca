//! Any bytes as a Dockerfile: refused at a place that there is, or read into items that tile it.
//!
//! Every word that comes out is expanded and every mount is read, which may fail and must end.

#![no_main]

use ci_build_frontend::dockerfile::instruction::{Body, Instruction};
use ci_build_frontend::dockerfile::{Item, expand, mount, parse};
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
    for item in &dockerfile.items {
        let span = match item {
            Item::Directive(directive) => &directive.span,
            Item::Comment(comment) => &comment.span,
            Item::Blank(span) => span,
            Item::Instruction(instruction) => {
                check(instruction, bytes, dockerfile.escape);
                &instruction.span
            }
        };
        assert_eq!(span.start, at);
        at = span.end;
    }
    assert_eq!(at, bytes.len());
});

fn check(instruction: &Instruction, bytes: &[u8], escape: char) {
    let lookup = |name: &str| (name.len() == 1).then(|| name.repeat(3));
    let expanded = |word: &str| {
        expand::expand(word, escape, &lookup)
            .map(|expanded| expanded.value)
            .map_err(|error| error.to_string())
    };
    for flag in &instruction.flags {
        // A continuation may lie between the dashes.
        assert!(bytes[flag.span.clone()].starts_with(b"-"));
        assert!(instruction.lines.contains(&flag.line));
        let value = flag.value.as_deref().unwrap_or_default();
        let _ = mount::parse(value, Some(&mut |value| expanded(value)));
    }
    match &instruction.body {
        Body::From { base, .. } => drop(expanded(base)),
        Body::Arg(args) => args.iter().flat_map(|(_, value)| value).for_each(|value| drop(expanded(value))),
        Body::Env(pairs) => pairs.iter().for_each(|(_, value)| drop(expanded(value))),
        Body::Copy { sources, heredocs, .. } => {
            sources.iter().for_each(|source| drop(expanded(source)));
            heredocs.iter().for_each(|heredoc| assert!(bytes.get(heredoc.content.clone()).is_some()));
        }
        Body::Onbuild(inner) => assert!(bytes.get(inner.span.clone()).is_some()),
        _ => {}
    }
}
