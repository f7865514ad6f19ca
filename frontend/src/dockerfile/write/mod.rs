//! The Dockerfile writer: a plan put into the text, every other byte left as it is.
//!
//! What text can say is less than what a definition can (docs/rewriting.md), so a rewritten text is read again, and what
//! it leaves is planned and written again, until nothing is left. A text is given back only if it means what was planned.

mod after;
mod flag;
mod gate;
mod layout;
mod mounts;
mod splice;

use std::collections::HashSet;

use super::parse::{SyntaxError, parse};
use super::policies::policies;
use super::read::{BuildError, Options, read};
use crate::graph::{BuildGraph, Sharing};
use crate::plan::{CommentError, Medium, Plan, Settings, Strategy};
use layout::Layout;
use mounts::Mounts;
use splice::{Splice, Text};

/// How often a text may be written. Two are usual: copies of one step, and names that still leave a conflict, take another.
const ROUNDS: usize = 8;

/// A rewritten Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    /// The new text.
    pub text: String,
    /// What was changed, in file order.
    pub edits: Vec<Edit>,
}

/// A change, as people read it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edit {
    /// The line in the old text, from 1.
    pub line: u32,
    /// The cache because of which.
    pub cache: String,
    /// What is new: `sharing=locked`, `id=…`, `after stage a`.
    pub what: String,
}

/// A plan that cannot be put into text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct WriteError {
    /// The line in the old text, from 1.
    pub line: u32,
    /// What, in one line.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// A Dockerfile that cannot be rewritten.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RewriteError {
    /// It cannot be read.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// It cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A comment of it makes no sense.
    #[error(transparent)]
    Comment(#[from] CommentError),
    /// It cannot be changed as planned.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Mends the hazards of a Dockerfile in its text. Without any, the text comes back as it was. What the file's comments say
/// of single caches wins over `settings`.
///
/// # Errors
/// It cannot be read or built, or a hazard cannot be mended in text; then there is no text at all.
pub fn rewrite(source: &[u8], options: &Options, settings: &Settings) -> Result<Rewritten, RewriteError> {
    let mut settings = Settings { medium: Medium::Text, ..settings.clone() };
    let mut graph = graph(source, options)?;
    // What was parsed is UTF-8.
    let mut text = Text::new(&String::from_utf8_lossy(source));
    let mut edits = Vec::new();
    for _ in 0..ROUNDS {
        let dockerfile = parse(text.text.as_bytes())?;
        settings.caches = policies(&dockerfile, &graph, &options.arguments)?;
        let plan = Plan::of(&graph, &settings);
        let layout = Layout::new(&dockerfile);
        let round = match plan.is_empty() {
            true => Round::default(),
            false => Round::of(&text, &layout, &graph, &plan, options)?,
        };
        if round.splices.is_empty() {
            return match plan.mended.iter().find(|mended| mended.strategy != Strategy::None) {
                Some(mended) => {
                    let line = graph.step(mended.finding.at.step).location.as_ref().map_or(1, |at| at.line);
                    let message = format!("cannot be mended in text: {}", mended.finding.message);
                    Err(error(&text, line, message))?
                }
                None => {
                    edits.sort();
                    edits.dedup();
                    Ok(Rewritten { text: text.text, edits })
                }
            };
        }
        edits.extend(round.edits);
        let unclear = |line| {
            error(&text, line, "the mounts are written in a way that cannot be changed safely".to_owned())
        };
        let first = round.splices.iter().map(|splice| splice.at.start).min().unwrap_or_default();
        let line = layout.line(first);
        let new = text.with(round.splices).ok_or_else(|| unclear(line))?;
        graph = self::graph(new.text.as_bytes(), options).map_err(|_| unclear(line))?;
        let there: HashSet<_> = meanings(&graph).collect();
        if let Some((line, _)) = round.expected.iter().find(|(_, expected)| !there.contains(expected)) {
            Err(unclear(*line))?;
        }
        text = new;
    }
    Err(error(&text, 1, "the hazards cannot be mended in text: mending makes ever new ones".to_owned()))?
}

/// What a text means.
fn graph(source: &[u8], options: &Options) -> Result<BuildGraph, RewriteError> {
    Ok(read("Dockerfile", &parse(source)?, options)?)
}

fn error(text: &Text, line: u32, message: String) -> WriteError {
    let help =
        "write the mount in a plainer way, try another --policy, or build through the frontend".to_owned();
    WriteError { line: text.original(line), message, help }
}

/// A cache mount as a build sees it: platform, target, id, sharing.
type Meaning = (Option<String>, String, String, Sharing);

fn meanings(graph: &BuildGraph) -> impl Iterator<Item = Meaning> {
    graph.steps().flat_map(|(_, step)| {
        step.caches().map(|(_, mount, cache)| {
            (step.platform.clone(), mount.target.clone(), cache.key.id.clone(), cache.sharing)
        })
    })
}

/// What is done to a text in one go.
#[derive(Default)]
struct Round {
    splices: Vec<Splice>,
    edits: Vec<Edit>,
    /// What there must be then, with the line that is to bring it.
    expected: Vec<(u32, Meaning)>,
}

impl Round {
    fn of(
        text: &Text,
        layout: &Layout<'_>,
        graph: &BuildGraph,
        plan: &Plan,
        options: &Options,
    ) -> Result<Self, WriteError> {
        let mut mounts = Mounts::new(text, layout, graph, plan);
        let edges = mounts.order();
        mounts.caches()?;
        mounts.gates()?;
        Ok(mounts.finish(&edges, options.platforms.len() > 1))
    }
}
