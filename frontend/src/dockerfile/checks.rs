//! `# check=…`: at the top of the file, above a FROM or above an instruction.

use std::collections::BTreeMap;

use super::case;
use super::comments::Comment;
use super::instruction::{DirectiveName, Dockerfile, Instruction, Keyword};
use crate::hazard::{CheckOptions, FileChecks};

/// The build argument that takes the place of the directive (`dockerui.Config`).
pub(crate) const CHECK_ARGUMENT: &str = "BUILDKIT_DOCKERFILE_CHECK";

/// What the file, which steps name so, says about the rules that it is checked by. `arguments` are the build's.
#[must_use]
pub fn checks(name: &str, dockerfile: &Dockerfile<'_>, arguments: &BTreeMap<String, String>) -> FileChecks {
    let directive = dockerfile.directives.iter().find(|directive| directive.name == DirectiveName::Check);
    let directive = directive.map(|directive| directive.value);
    let file = options(arguments.get(CHECK_ARGUMENT).map(String::as_str).or(directive));
    let mut checks = FileChecks::new(name, file);
    for instruction in &dockerfile.instructions {
        let line = instruction.line;
        let comment = comment(dockerfile, instruction);
        if instruction.keyword == Keyword::From {
            checks.set_stage(line, options(comment));
        } else if comment.is_some() {
            checks.set_instruction(line, options(comment));
        }
    }
    checks
}

/// The first comment above that is a `check=`; upstream looks at no other one.
fn comment<'a>(dockerfile: &Dockerfile<'a>, instruction: &Instruction<'_>) -> Option<&'a str> {
    let value = |comment: Comment<'a>| {
        let (name, value) = comment.text.split_once('=')?;
        case::lower_is(name.trim(), "check").then_some(value)
    };
    dockerfile.comments(instruction).find_map(value)
}

/// The first word counts. What cannot be read says nothing: complaining is upstream's.
fn options(value: Option<&str>) -> CheckOptions {
    let word = value.and_then(|value| value.split_whitespace().next()).unwrap_or_default();
    word.parse().unwrap_or_default()
}
