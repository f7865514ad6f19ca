//! One build: ask the Dockerfile frontend, read, plan, write, solve.

use std::borrow::Cow;

use futures_util::future::{try_join, try_join_all};

use super::client::Client;
use super::error::GatewayError;
use super::inner;
use super::nonce::nonce;
use super::notices::{self, Notice};
use super::options::{Options, Subrequest};
use super::result::{self, Reference};
use super::{lint, no_cache, source};
use crate::graph::{BuildGraph, StepIndex};
use crate::llb::{self, Definition, PrimerImage};
use crate::plan::{Plan, Policy};
use crate::report;

/// Serves one build and gives the encoded `Result` for the engine.
///
/// # Errors
/// The engine or the Dockerfile frontend fails, or the build's definitions cannot be read or changed.
pub async fn build(client: &Client, options: &Options) -> Result<Vec<u8>, GatewayError> {
    let result = inner(client, options).await?;
    match options.subrequest() {
        None => {}
        Some(Subrequest::Other) => return Ok(result),
        Some(Subrequest::Lint) => return lint::add_findings(client, options, result).await,
    }
    let references = result::references(&result)?;
    let Some(definitions) = solvables(&references) else {
        // Nothing to solve again: what the inner frontend solved has to do.
        return if options.choices().policy == Policy::Off {
            Ok(result)
        } else {
            Err(GatewayError::NoDefinition)
        };
    };

    let mended = mend(no_cache::apply(definitions, options)?, options)?;
    // Solved anew even where nothing changed: so provenance names this frontend, and not the one behind it.
    let solving = mended.definitions.into_iter().map(|definition| async {
        let result = solve(client, options, definition).await?;
        let reference = result::references(&result)?.into_iter().next();
        reference.map(|reference| reference.id).filter(|id| !id.is_empty()).ok_or(GatewayError::NoDefinition)
    });
    let (solved, ()) = try_join(try_join_all(solving), notices::show(client, mended.notices)).await?;

    let mut solved = solved.into_iter();
    let id_of = |reference: &Reference| if reference.id.is_empty() { None } else { solved.next() };
    let ids: Vec<_> = references.iter().map(id_of).collect();
    Ok(result::with_references(&result, &ids)?)
}

/// What a build is to solve, for one platform where there are several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Solvable {
    /// The platform.
    pub platform: Option<String>,
    /// The encoded definition.
    pub definition: Vec<u8>,
}

/// The definitions that the Dockerfile frontend makes of a build, before anything is changed.
///
/// # Errors
/// The engine or the Dockerfile frontend fails.
pub async fn definitions(client: &Client, options: &Options) -> Result<Vec<Solvable>, GatewayError> {
    let result = inner(client, options).await?;
    solvables(&result::references(&result)?).ok_or(GatewayError::NoDefinition)
}

/// The `Result` of the Dockerfile frontend, as it is: what a frontend costs that does nothing of its own.
///
/// # Errors
/// The engine or the Dockerfile frontend fails.
pub async fn unchanged(client: &Client, options: &Options) -> Result<Vec<u8>, GatewayError> {
    inner(client, options).await
}

/// Solves an encoded definition with the build's cache imports and gives the encoded `Result`.
///
/// # Errors
/// The engine fails.
pub async fn solve(client: &Client, options: &Options, definition: Vec<u8>) -> Result<Vec<u8>, GatewayError> {
    Ok(client.solve(inner::definition(definition, options)).await?)
}

async fn inner(client: &Client, options: &Options) -> Result<Vec<u8>, GatewayError> {
    let inputs = client.inputs().await?;
    Ok(inner::solve(client, options, inputs).await?)
}

/// The definitions of the references that are not empty. None if the engine left one out.
fn solvables(references: &[Reference]) -> Option<Vec<Solvable>> {
    let solved = references.iter().filter(|reference| !reference.id.is_empty());
    let solvable = |reference: &Reference| {
        let definition = reference.definition.clone()?;
        Some(Solvable { platform: reference.platform.clone(), definition })
    };
    solved.map(solvable).collect()
}

struct Mended {
    definitions: Vec<Vec<u8>>,
    notices: Vec<Notice>,
}

/// Read, plan, write; and again where that made steps equal: they are one then, and caches that start from them too, so
/// that a change can bring users of one cache together. Each further round has fewer steps that use caches, so there is a
/// last one. With [`Policy::Off`] for every cache the definitions are not even looked at.
fn mend(solvables: Vec<Solvable>, options: &Options) -> Result<Mended, GatewayError> {
    let (platforms, definitions): (Vec<_>, _) =
        solvables.into_iter().map(|solvable| (solvable.platform, solvable.definition)).unzip();
    let mut mended = Mended { definitions, notices: Vec::new() };
    let has_comments = || source::has_comments(mended.definitions.iter().map(Vec::as_slice));
    if options.choices().policy == Policy::Off && !has_comments() {
        return Ok(mended);
    }
    let image = image(options);
    let mut asked = None;
    let mut users = usize::MAX;
    loop {
        let definitions = mended
            .definitions
            .into_iter()
            .zip(&platforms)
            .map(|(definition, platform)| Ok(Definition::parse(definition)?.built_for(platform.clone())));
        let definitions = definitions.collect::<Result<Vec<_>, GatewayError>>()?;
        let graph = llb::read(&definitions)?;
        let asked = match &mut asked {
            Some(asked) => asked,
            // By the definitions as they came: later ones have other ids.
            none => none.insert(source::asked(&definitions, &graph, options)?),
        };
        let plan = Plan::except(&graph, &asked.settings, &asked.checks);
        let written = llb::write(&definitions, &graph, &plan, image.as_ref())?;

        if let Some(unread) = asked.unread.take() {
            mended.notices.push(notice(&graph, &definitions, unread.step, unread.message));
        }
        mended.notices.extend(notices(&graph, &plan, &definitions));
        for notice in &mut mended.notices {
            let renamed = written.renamed.get(notice.vertex.as_str());
            notice.vertex = renamed.map_or(std::mem::take(&mut notice.vertex), ToString::to_string);
        }
        mended.definitions = written.definitions.into_iter().map(Cow::into_owned).collect();
        if !written.has_merged {
            return Ok(mended);
        }
        let left = graph.steps().filter(|(_, step)| step.caches().next().is_some()).count();
        if left >= std::mem::replace(&mut users, left) {
            return Err(GatewayError::Endless);
        }
    }
}

/// This frontend's own image, as the engine named it, to run in once more.
fn image(options: &Options) -> Option<PrimerImage> {
    let program = std::env::current_exe().ok()?;
    Some(PrimerImage::new(options.get("source")?, program.to_str()?, &nonce()))
}

fn notices(graph: &BuildGraph, plan: &Plan, definitions: &[Definition]) -> Vec<Notice> {
    let told = report::notices(graph, plan).into_iter();
    let notice = |told: report::Notice| Notice {
        waits: told.waits,
        ..notice(graph, definitions, told.step, told.text)
    };
    told.map(notice).collect()
}

fn notice(graph: &BuildGraph, definitions: &[Definition], step: StepIndex, text: String) -> Notice {
    let step = graph.step(step);
    Notice {
        text,
        waits: None,
        line: step.location.as_ref().map(|location| location.line),
        vertex: step.id.clone(),
        source: definitions.iter().find_map(|definition| definition.source_of(&step.id)),
    }
}
