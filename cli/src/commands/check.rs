//! `ci-build check`.

use std::process::ExitCode;

use ci_build_frontend::hazard::{self, RULES, Rule, Severity};
use ci_build_frontend::plan::{Medium, Plan, Settings};
use ci_build_frontend::report;
use ci_build_frontend::report::check::{self, Checked};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};

use super::dockerfile::{self, BuildArguments, ReadFile};
use crate::error::Failure;

const EXAMPLES: &str = "\
Examples:
  ci-build check
  ci-build check --target release --build-arg VARIANT=slim docker/Dockerfile
  ci-build check --format sarif Dockerfile > findings.sarif
  ci-build check --fail-on error $(git ls-files '*Dockerfile')
  ci-build check --explain SharedCacheRace

A comment at the top of the file, above a FROM or above an instruction leaves findings out:
  # check=skip=SharedCacheRace,MixedCacheSharing
  # check=skip=all;error=true

Exit codes: 0 fine, 1 findings at or above --fail-on, 2 unusable input or usage, 125 our own failure";

/// Find the cache mounts of Dockerfiles that collide, without an engine
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The Dockerfiles; - is standard input
    #[arg(value_name = "FILE", default_value = dockerfile::DEFAULT)]
    files: Vec<String>,
    #[command(flatten)]
    build: BuildArguments,
    /// The least severity that makes the exit code 1
    #[arg(long, value_name = "SEVERITY", default_value = "warning")]
    fail_on: FailOn,
    /// How the findings are shown
    #[arg(long, default_value = "text")]
    format: Format,
    /// Tell all about a rule, and check nothing
    #[arg(long, value_name = "RULE", value_parser = rules(), exclusive = true)]
    explain: Option<&'static Rule>,
}

/// Clap lists the names and finds the one that was meant.
fn rules() -> impl TypedValueParser<Value = &'static Rule> {
    let names = PossibleValuesParser::new(RULES.map(|rule| rule.name));
    names.try_map(|name| hazard::rule(&name).ok_or("there is no such rule"))
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FailOn {
    Error,
    Warning,
    Note,
}

impl From<FailOn> for Severity {
    fn from(fail_on: FailOn) -> Self {
        match fail_on {
            FailOn::Error => Self::Error,
            FailOn::Warning => Self::Warning,
            FailOn::Note => Self::Note,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For scripts
    Json,
    /// For code scanning services: SARIF 2.1.0
    Sarif,
    /// Workflow commands, which annotate a change on GitHub
    Github,
}

pub(super) fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    if let Some(rule) = arguments.explain {
        dockerfile::print(&report::rule(rule))?;
        return Ok(ExitCode::SUCCESS);
    }
    let options = arguments.build.options();
    let files: Vec<_> = arguments.files.iter().map(|path| dockerfile::read(path, &options)).collect();
    let is_unusable = files.iter().any(Option::is_none);
    // What is advised is for whoever mends the text.
    let plan = |mut file: ReadFile| {
        let caches = std::mem::take(&mut file.policies);
        let settings = Settings { caches, medium: Medium::Text, ..Settings::default() };
        let plan = Plan::except(&file.graph, &settings, &file.checks);
        (file, plan)
    };
    let files: Vec<_> = files.into_iter().flatten().map(plan).collect();
    let checked: Vec<_> = files
        .iter()
        .map(|(file, plan)| Checked::new(&file.path, &file.source, &file.graph, &plan.mended))
        .collect();
    match arguments.format {
        // Where no file could be read, what is wrong has been said.
        Format::Text if checked.is_empty() => {}
        Format::Text => dockerfile::print(&check::text(&checked))?,
        Format::Json => dockerfile::print_raw(&check::json(&checked))?,
        Format::Sarif => dockerfile::print_raw(&check::sarif(&checked))?,
        Format::Github => dockerfile::print_raw(&check::github(&checked))?,
    }
    let fail_on = Severity::from(arguments.fail_on);
    let fails = files.iter().any(|(file, plan)| {
        plan.mended.iter().any(|mended| {
            mended.finding.severity >= fail_on || file.checks.fails(&file.graph, &mended.finding)
        })
    });
    Ok(match (is_unusable, fails) {
        (true, _) => ExitCode::from(2),
        (false, true) => ExitCode::from(1),
        (false, false) => ExitCode::SUCCESS,
    })
}
