//! `docker build --check`: our findings beside upstream's.

mod document;

use self::document::{LintFinding, LintResult};
use super::build::definitions;
use super::client::Client;
use super::error::GatewayError;
use super::options::Options;
use super::{result, source};
use crate::dockerfile::{self, Dockerfile, Platform};
use crate::graph::BuildGraph;
use crate::hazard::{self, Checks};
use crate::llb::{self, Definition};
use crate::options::Check;
use crate::plan::Policy;

/// The metadata of the answer.
const DOCUMENT: &str = "result.json";
const TEXT: &str = "result.txt";
const EXIT_CODE: &str = "result.statuscode";

/// Adds what the rules find to upstream's answer. It stays as it is where they find nothing, where they are not asked,
/// and where the Dockerfile cannot be read: why that is so is upstream's to say.
///
/// # Errors
/// A comment of ours makes no sense, or the engine's answer cannot be read.
pub(super) async fn add_findings(
    client: &Client,
    options: &Options,
    answer: Vec<u8>,
) -> Result<Vec<u8>, GatewayError> {
    let choices = options.choices();
    if choices.check == Check::Off || choices.policy == Policy::Off {
        return Ok(answer);
    }
    let Some(mut lint) = result::metadata(&answer, DOCUMENT)?.and_then(LintResult::parse) else {
        return Ok(answer);
    };
    let Some((file, text)) = lint.dockerfile().map(|(file, text)| (file.to_owned(), text)) else {
        return Ok(answer);
    };
    let Ok(dockerfile) = dockerfile::parse(&text) else { return Ok(answer) };
    // A build that cannot be lowered, for want of an image say, is read from its text.
    let read = match definitions(client, &options.as_build()).await {
        Ok(solvables) => {
            let parse = |solvable: super::Solvable| {
                Ok(Definition::parse(solvable.definition)?.built_for(solvable.platform))
            };
            let definitions = solvables.into_iter().map(parse).collect::<Result<Vec<_>, GatewayError>>()?;
            let graph = llb::read(&definitions)?;
            let checks = source::asked(&definitions, &graph, options)?.checks;
            Some((graph, checks))
        }
        Err(_) => read_text(&file, &dockerfile, options).map(|graph| {
            let checks = dockerfile::checks(&file, &dockerfile, &options.arguments());
            (graph, Checks::from_iter([checks]))
        }),
    };
    let Some((graph, checks)) = read else { return Ok(answer) };

    let found = hazard::find_except(&graph, &checks);
    let end_of = |start: u32| {
        let instruction = dockerfile.instructions.iter().find(|instruction| instruction.line == start);
        instruction.map(|instruction| dockerfile.last_line(instruction))
    };
    let mut findings = Vec::with_capacity(found.len());
    for finding in &found {
        let location = graph.step(finding.at.step).location.as_ref();
        let own = location.filter(|location| location.file == file);
        findings.push(LintFinding { finding, end: own.and_then(|location| end_of(location.line)) });
    }
    let told = lint.add(&graph, &findings, &checks, dockerfile.source);
    if told.is_empty() {
        return Ok(answer);
    }
    let shown = [result::metadata(&answer, TEXT)?.unwrap_or_default(), told.as_bytes()].concat();
    let answer = result::with_metadata(&answer, DOCUMENT, lint.document().as_bytes())?;
    let answer = result::with_metadata(&answer, TEXT, &shown)?;
    Ok(result::with_metadata(&answer, EXIT_CODE, b"1")?)
}

/// The graph of the text. None if our reader does not know all of it.
fn read_text(file: &str, dockerfile: &Dockerfile<'_>, options: &Options) -> Option<BuildGraph> {
    let mut asked = dockerfile::Options {
        target: options.get("target").map(str::to_owned),
        arguments: options.arguments(),
        ..dockerfile::Options::default()
    };
    if let Some(platforms) = options.get("platform").filter(|platforms| !platforms.is_empty()) {
        let platforms = platforms.split(',').map(str::parse::<Platform>);
        asked.platforms = platforms.collect::<Result<_, _>>().ok()?;
    }
    dockerfile::read(file, dockerfile, &asked).ok()
}
