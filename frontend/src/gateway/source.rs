//! What the Dockerfile's text says beside its instructions: comments for single caches, and for the rules.
//!
//! The definition carries the text. Our own reader may not know the syntax of a newer frontend: that fails no build, but
//! then nobody can say which comment stands above which instruction, and none is followed.

use std::collections::BTreeMap;

use super::error::GatewayError;
use super::options::Options;
use crate::dockerfile::{self, Dockerfile};
use crate::graph::{BuildGraph, StepIndex};
use crate::hazard::Checks;
use crate::llb::{Definition, SourceText, Texts};
use crate::plan::{CommentError, Policy, Settings};

/// What begins a comment that is followed: `ci-build:`, and upstream's `check=`.
const OURS: &[u8] = b"ci-build:";
const CHECK: &[u8] = b"check";

/// What a build is asked for, by its options and by its text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub settings: Settings,
    pub checks: Checks,
    /// What the text might say and we cannot read.
    pub unread: Option<Unread>,
}

/// A text with comments that are not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unread {
    /// What to tell.
    pub message: String,
    /// The first step that mounts a cache.
    pub step: StepIndex,
}

/// Whether any text of these definitions may say something of single caches.
pub(super) fn has_comments<'d>(mut definitions: impl Iterator<Item = &'d [u8]>) -> bool {
    definitions.any(|definition| memchr::memmem::find(definition, OURS).is_some())
}

/// What these definitions, as they came, are asked for: about single caches by the build's own Dockerfile, about the rules
/// by each text for its own steps.
///
/// # Errors
/// A comment of ours makes no sense.
pub(super) fn asked(
    definitions: &[Definition],
    graph: &BuildGraph,
    options: &Options,
) -> Result<Asked, GatewayError> {
    let choices = options.choices();
    let mut asked = Asked { settings: Settings::from(choices.policy), ..Asked::default() };
    asked.settings.scope = choices.scope;
    asked.settings.durations = choices.durations.clone();
    let arguments = options.arguments();
    let texts = Texts::of(definitions);
    let mut checks = Vec::new();
    for (place, text) in texts.iter().enumerate() {
        match dockerfile::parse(&text.data) {
            Ok(dockerfile) => {
                checks.push(dockerfile::checks(&text.filename, &dockerfile, &arguments));
                if place == 0 {
                    asked.settings.caches = caches(&dockerfile, graph, text, &arguments)
                        .map_err(|error| GatewayError::Comment { file: text.filename.clone(), error })?;
                }
            }
            Err(error) if place == 0 => asked.unread = unread(text, &error, graph),
            Err(_) => {}
        }
    }
    asked.checks = checks.into_iter().collect();
    Ok(asked)
}

/// What to tell of a text that our reader does not know, if it may say something.
fn unread(text: &SourceText, error: &dockerfile::SyntaxError, graph: &BuildGraph) -> Option<Unread> {
    let may_say = [OURS, CHECK].into_iter().any(|word| may_say(&text.data, word));
    let step = graph.steps().find(|(_, step)| step.caches().next().is_some());
    step.filter(|_| may_say).map(|(step, _)| Unread {
        message: format!(
            "ci-build cannot read {}:{}: {}; so it follows no comment of this file, neither `# ci-build:` nor `# check=`",
            text.filename, error.line, error.message
        ),
        step,
    })
}

/// The policies of single caches.
fn caches(
    dockerfile: &Dockerfile,
    graph: &BuildGraph,
    text: &SourceText,
    arguments: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, Policy>, CommentError> {
    if memchr::memmem::find(&text.data, OURS).is_none() {
        return Ok(BTreeMap::new());
    }
    // A line of another file, of what the build starts from, is another line.
    let own = graph.map_steps(|_, step| {
        let mut step = step.clone();
        step.location = step.location.filter(|location| location.file == text.filename);
        step
    });
    dockerfile::policies(dockerfile, &own, arguments)
}

/// Whether a line may be a comment that begins with `word`.
fn may_say(text: &[u8], word: &[u8]) -> bool {
    text.split(|byte| *byte == b'\n').any(|line| {
        let comment = line.trim_ascii_start().strip_prefix(b"#");
        comment.is_some_and(|comment| {
            comment.trim_ascii_start().get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word))
        })
    })
}
