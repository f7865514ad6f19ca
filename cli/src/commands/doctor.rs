//! `ci-build doctor`.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::format::{Format, Shown};
use super::sources::MirrorArguments;
use super::{block_on, document, duration, frontend, print_line};
use crate::doctor::facts::Limits;
use crate::doctor::{CHECKS, Check, Facts, Finding, State};
use crate::error::Failure;
use crate::image::ImageName;

const EXAMPLES: &str = "\
Examples:
  ci-build doctor
  ci-build doctor --format json | jq -r '.checks[] | select(.state == \"wrong\").found'
  ci-build doctor --min-free 20

docs/doctor.md lists the checks.
Exit codes: 0 nothing is wrong, 1 something is, 2 wrong usage, 125 our own failure";

/// Look for what makes builds fail on this host, and tell what to do
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    shown: Shown,
    /// How long the engine may take to answer a question
    #[arg(long, value_name = "TIME", env = "CI_BUILD_ENGINE_TIMEOUT", default_value = "5s", value_parser = duration::parse)]
    timeout: Duration,
    /// Less free room for the engine's data than this is wrong, in percent
    #[arg(long, value_name = "PERCENT", env = "CI_BUILD_MIN_FREE", default_value = "10")]
    #[arg(value_parser = clap::value_parser!(u64).range(0..=100))]
    min_free: u64,
    /// Fewer free inodes than this are wrong, in percent
    #[arg(long, value_name = "PERCENT", env = "CI_BUILD_MIN_INODES", default_value = "5")]
    #[arg(value_parser = clap::value_parser!(u64).range(0..=100))]
    min_inodes: u64,
    /// The name of the frontend's image
    #[arg(long, value_name = "REF", env = "CI_BUILD_FRONTEND_NAME", default_value = frontend::DEFAULT_NAME)]
    frontend_name: ImageName,
    #[command(flatten)]
    mirrors: MirrorArguments,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let limits = Limits { free: arguments.min_free, inodes: arguments.min_inodes };
    let (mirrors, asked) = (arguments.mirrors.mirrors(), arguments.mirrors.limits());
    let frontend = arguments.frontend_name.to_string();
    let facts = block_on(Facts::gather(&frontend, limits, arguments.timeout, mirrors, asked))?;
    let findings: Vec<_> = CHECKS.iter().map(|check| (check, check.look(&facts))).collect();
    match arguments.shown.format {
        Format::Text => print_line(text(&findings).trim_end())?,
        Format::Json => {
            let checks = findings.iter().map(|(check, finding)| of_finding(check, finding)).collect();
            print_line(document(vec![("checks", checks)]))?;
        }
    }
    let is_wrong = findings.iter().any(|(_, finding)| finding.state == State::Wrong);
    Ok(ExitCode::from(u8::from(is_wrong)))
}

/// One line a check, and below it what to do.
fn text(findings: &[(&Check, Finding)]) -> String {
    let width = findings.iter().map(|(check, _)| check.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (check, Finding { state, found, advice }) in findings {
        // Writing to a string does not fail. What an engine says of itself is shown without control characters.
        let found = found.replace(char::is_control, " ");
        let _ = writeln!(text, "{:7}  {:width$}  {found}", state.name(), check.name);
        for line in advice {
            let _ = writeln!(text, "{:7}  {:width$}    help: {line}", "", "");
        }
    }
    text
}

fn of_finding(check: &Check, Finding { state, found, advice }: &Finding) -> serde_json::Value {
    json!({ "check": check.name, "state": state.name(), "found": found, "advice": advice })
}
