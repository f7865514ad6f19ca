//! `ci-build plan`.

use std::process::ExitCode;

use ci_build_frontend::plan::{Plan, Policy, Scope, Settings};
use ci_build_frontend::report::plan::{self, Planned};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};

use super::dockerfile::{self, BuildArguments};
use crate::error::Failure;

const EXAMPLES: &str = "\
Examples:
  ci-build plan
  ci-build plan --format svg Dockerfile > plan.svg
  ci-build plan --policy order --target release docker/Dockerfile
  ci-build plan --scope host Dockerfile
  ci-build plan --format dot Dockerfile | dot -Tpdf > plan.pdf
  ci-build plan --format json - < Dockerfile | jq '.changes'

A comment above a RUN says how its caches are mended, in the whole build:
  # ci-build: id=/root/.m2 policy=namespace
  # ci-build: policy=off

Exit codes: 0 fine, 2 unusable input or usage, 125 our own failure";

/// Show what a Dockerfile builds, what collides in it, and what would be changed
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The Dockerfile; - is standard input
    #[arg(value_name = "FILE", default_value = dockerfile::DEFAULT)]
    file: String,
    #[command(flatten)]
    build: BuildArguments,
    /// How hazards are mended; with off they are shown as they are
    #[arg(long, env = "CI_BUILD_POLICY", default_value = "auto", value_parser = policies())]
    policy: Policy,
    /// Against whom caches are kept apart: the steps of this build, or other builds of the host too
    #[arg(long, env = "CI_BUILD_SCOPE", default_value = "build", value_parser = scopes())]
    scope: Scope,
    /// How the plan is shown
    #[arg(long, default_value = "text")]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For scripts
    Json,
    /// For Graphviz
    Dot,
    /// For Markdown that draws Mermaid
    Mermaid,
    /// A picture
    Svg,
}

/// Clap lists the names.
pub(super) fn policies() -> impl TypedValueParser<Value = Policy> {
    PossibleValuesParser::new(Policy::ALL.map(Policy::name)).try_map(|name| name.parse::<Policy>())
}

/// Clap lists the names.
pub(super) fn scopes() -> impl TypedValueParser<Value = Scope> {
    PossibleValuesParser::new(Scope::ALL.map(Scope::name)).try_map(|name| name.parse::<Scope>())
}

pub(super) fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let Some(file) = dockerfile::read(&arguments.file, &arguments.build.options()) else {
        return Ok(ExitCode::from(2));
    };
    let settings = Settings {
        policy: arguments.policy,
        scope: arguments.scope,
        caches: file.policies,
        ..Settings::default()
    };
    let plan = match settings.is_off() {
        true => Plan::unmended(&file.graph, &file.checks),
        false => Plan::except(&file.graph, &settings, &file.checks),
    };
    let planned = Planned::new(&file.path, &file.graph, &plan);
    match arguments.format {
        Format::Text => dockerfile::print(&plan::text(&planned))?,
        Format::Json => dockerfile::print_raw(&plan::json(&planned))?,
        Format::Dot => dockerfile::print_raw(&plan::dot(&planned))?,
        Format::Mermaid => dockerfile::print_raw(&plan::mermaid(&planned))?,
        Format::Svg => dockerfile::print_raw(&plan::svg(&planned))?,
    }
    Ok(ExitCode::SUCCESS)
}
