//! `# check=…`: at the top of the file, above a FROM or above an instruction.

use std::collections::BTreeMap;

use super::case;
use super::instruction::{Comment, Dockerfile, Instruction, Item, Keyword};
use crate::hazard::{CheckOptions, Checks};

/// The build argument that takes the place of the directive (`dockerui.Config`).
const ARGUMENT: &str = "BUILDKIT_DOCKERFILE_CHECK";

/// What the file says about the rules that it is checked by. `arguments` are the build's.
#[must_use]
pub fn checks(dockerfile: &Dockerfile, arguments: &BTreeMap<String, String>) -> Checks {
    let mut checks = Checks::default();
    let directive = dockerfile.items.iter().find_map(|item| match item {
        Item::Directive(directive) if directive.name == "check" => Some(&*directive.value),
        _ => None,
    });
    checks.set_file(options(arguments.get(ARGUMENT).map(String::as_str).or(directive)));
    for item in &dockerfile.items {
        let Item::Instruction(instruction) = item else { continue };
        let line = *instruction.lines.start();
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
fn comment<'d>(dockerfile: &'d Dockerfile, instruction: &Instruction) -> Option<&'d str> {
    let value = |comment: &'d Comment| {
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
