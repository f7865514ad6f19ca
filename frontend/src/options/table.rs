//! The table.

use std::fmt;

use super::{Check, Choices, NoCache};
use crate::plan::Durations;

/// An option.
#[derive(Debug)]
pub struct What {
    /// What it is called, on the syntax line too.
    pub name: &'static str,
    /// What one of its values is called in an error, and what several are.
    pub noun: (&'static str, &'static str),
    /// Whether it may stand on the syntax line.
    pub on_syntax_line: bool,
    /// The build argument, where it has one.
    pub argument: Option<&'static str>,
    /// Whether it may stand in a comment, for one cache.
    pub in_comments: bool,
    /// What it may be.
    pub values: Values,
    /// What it is where nobody asks for anything.
    pub default: &'static str,
    /// What it decides, in one sentence.
    pub summary: &'static str,
    /// Sets it. None if there is no such value.
    pub(super) choose: fn(&mut Choices, &str) -> Option<()>,
}

impl PartialEq for What {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for What {}

/// What an option may be.
#[derive(Debug, Clone, Copy)]
pub enum Values {
    /// One of these.
    OneOf(&'static [Value]),
    /// The name of an image.
    Image,
    /// A document of [`Durations`].
    Durations,
}

/// A value, and what it means.
#[derive(Debug)]
pub struct Value {
    /// As it is written.
    pub name: &'static str,
    /// In one sentence.
    pub summary: &'static str,
}

impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneOf(values) => {
                f.write_str(&values.iter().map(|value| value.name).collect::<Vec<_>>().join(", "))
            }
            Self::Image => f.write_str("those of a registry or of the engine, as docker/dockerfile:1"),
            Self::Durations => f.write_str(r#"as {"schema":1,"seconds":{"72d2863ae1bbc919":4}}"#),
        }
    }
}

/// All options.
pub static OPTIONS: [What; 6] = [
    What {
        name: "policy",
        noun: ("policy", "policies"),
        on_syntax_line: true,
        argument: Some("CI_BUILD_POLICY"),
        in_comments: true,
        values: Values::OneOf(&[
            Value {
                name: "auto",
                summary: "The cheapest strategy that removes each hazard. What a tool is known to bear is left alone.",
            },
            Value { name: "lock", summary: "Users of a cache take turns." },
            Value {
                name: "order",
                summary: "Users of a cache run one after the other, in the same order in each build. What an order does not mend takes turns.",
            },
            Value {
                name: "prime",
                summary: "A step before all others makes the mountpoints. That several steps write to one cache is left alone, unless the tool is known not to bear it.",
            },
            Value {
                name: "namespace",
                summary: "Each stage, and each platform, gets a cache of its own, as far as that goes.",
            },
            Value { name: "off", summary: "Nothing is changed: the build is upstream's, byte for byte." },
        ]),
        default: "auto",
        summary: "How hazards between cache mounts are mended.",
        choose: |choices, value| {
            choices.policy = value.parse().ok()?;
            Some(())
        },
    },
    What {
        name: "scope",
        noun: ("scope", "scopes"),
        on_syntax_line: true,
        argument: Some("CI_BUILD_SCOPE"),
        in_comments: false,
        values: Values::OneOf(&[
            Value { name: "build", summary: "The steps of this build." },
            Value {
                name: "host",
                summary: "Other builds of the engine as well, which may use every shared cache at the same time.",
            },
        ]),
        default: "build",
        summary: "Against whom the caches of a build are kept apart.",
        choose: |choices, value| {
            choices.scope = value.parse().ok()?;
            Some(())
        },
    },
    What {
        name: "upstream",
        noun: ("image", "images"),
        on_syntax_line: true,
        argument: None,
        in_comments: false,
        values: Values::Image,
        default: "the engine's own",
        summary: "The Dockerfile frontend that lowers the Dockerfile, for newer syntax than the engine knows.",
        choose: |choices, value| {
            choices.upstream = Some(value.to_owned()).filter(|image| !image.is_empty());
            choices.upstream.is_some().then_some(())
        },
    },
    What {
        name: "no-cache",
        noun: ("setting", "settings"),
        on_syntax_line: false,
        argument: Some("CI_BUILD_NO_CACHE"),
        in_comments: false,
        values: Values::OneOf(&[
            Value {
                name: "upstream",
                summary: "As upstream: the step runs anew, its caches are emptied before, and later builds find its result.",
            },
            Value {
                name: "keep",
                summary: "The step runs anew, nobody's caches are emptied, and later builds do not find its result.",
            },
        ]),
        default: "upstream",
        summary: "What `--no-cache` does to a step that mounts caches.",
        choose: |choices, value| {
            choices.no_cache = match value {
                "upstream" => NoCache::Upstream,
                "keep" => NoCache::Keep,
                _ => return None,
            };
            Some(())
        },
    },
    What {
        name: "durations",
        noun: ("document", "documents"),
        on_syntax_line: false,
        argument: Some("CI_BUILD_DURATIONS"),
        in_comments: false,
        values: Values::Durations,
        default: "none",
        summary: "How long the steps of earlier builds took, by which `auto` and `order` choose; `ci-build build` measures and gives it.",
        choose: |choices, value| {
            choices.durations = Durations::parse(value).ok()?;
            Some(())
        },
    },
    What {
        name: "check",
        noun: ("setting", "settings"),
        on_syntax_line: false,
        argument: Some("CI_BUILD_CHECK"),
        in_comments: false,
        values: Values::OneOf(&[
            Value { name: "on", summary: "Warnings and errors of ours stand beside upstream's." },
            Value { name: "off", summary: "Upstream's list stays as it is, byte for byte." },
        ]),
        default: "on",
        summary: "What `docker build --check` tells.",
        choose: |choices, value| {
            choices.check = match value {
                "on" => Check::On,
                "off" => Check::Off,
                _ => return None,
            };
            Some(())
        },
    },
];

const PREFIX: &str = "CI_BUILD_";

/// The option that a word on the syntax line begins with.
pub(super) fn of_word(name: &str) -> Option<&'static What> {
    OPTIONS.iter().find(|what| what.on_syntax_line && what.name == name)
}

/// The option of a build argument, and the argument's name.
pub(super) fn of_argument(name: &str) -> Option<(&'static What, &'static str)> {
    OPTIONS.iter().find_map(|what| Some((what, what.argument.filter(|argument| *argument == name)?)))
}

/// Whether a build argument has to be looked at.
pub(super) fn may_be_ours(name: &str) -> bool {
    name.get(..PREFIX.len()).is_some_and(|prefix| prefix.eq_ignore_ascii_case(PREFIX))
}

/// What may stand on the syntax line.
pub(super) fn words() -> String {
    let word = |what: &What| {
        let value = if let Values::Image = what.values { "IMAGE" } else { "NAME" };
        format!("{}={value}", what.name)
    };
    let words = OPTIONS.iter().filter(|what| what.on_syntax_line).map(word);
    words.collect::<Vec<_>>().join(", ")
}

/// The build arguments.
pub(super) fn arguments() -> String {
    OPTIONS.iter().filter_map(|what| what.argument).collect::<Vec<_>>().join(", ")
}

/// The build argument that a name is meant for: at most one character too many, too few, wrong or swapped away, whatever
/// the case and the dashes.
pub(super) fn meant_by(name: &str) -> Option<&'static str> {
    let name: Vec<_> = name.bytes().map(|byte| byte.to_ascii_uppercase()).collect();
    let name: Vec<_> = name.into_iter().map(|byte| if byte == b'-' { b'_' } else { byte }).collect();
    OPTIONS.iter().filter_map(|what| what.argument).find(|argument| is_a_slip(&name, argument.as_bytes()))
}

/// Whether one change at most makes one of the other.
fn is_a_slip(a: &[u8], b: &[u8]) -> bool {
    let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[same..], &b[same..]);
    match (a, b) {
        ([], []) => true,
        ([_, rest @ ..], b) if rest == b => true,
        (a, [_, rest @ ..]) if rest == a => true,
        ([_, a @ ..], [_, b @ ..]) if a == b => true,
        ([first, second, a @ ..], [other, another, b @ ..]) => first == another && second == other && a == b,
        _ => false,
    }
}
