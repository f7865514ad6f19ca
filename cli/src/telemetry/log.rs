//! Logs on stderr: which of what happens, and how it is written.

use std::ffi::OsString;
use std::fmt;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::Registry;

use crate::error::{Blame, Explain};

/// What all of ours is called in a log.
pub(super) const OURS: &str = "ci_build";

const FILTER: &str = "CI_BUILD_LOG";
const FORMAT: &str = "CI_BUILD_LOG_FORMAT";
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Why it cannot be told what to log.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The filter has a level that is none.
    #[error("{FILTER}: '{0}' is no level")]
    Level(String),
    /// The form is none.
    #[error("{FORMAT}: '{0}' is neither text nor json")]
    Format(String),
}

impl Explain for Error {
    fn blame(&self) -> Blame {
        Blame::Input
    }
    fn help(&self) -> Vec<String> {
        match self {
            Self::Level(_) => {
                vec![format!("write one of {}, or for one module such as store=debug", LEVELS.join(", "))]
            }
            Self::Format(_) => Vec::new(),
        }
    }
}

/// What writes to stderr; none where nobody asked for it.
pub(super) fn layer(
    variable: &impl Fn(&str) -> Option<OsString>,
) -> Result<Option<Box<dyn Layer<Registry> + Send + Sync>>, Error> {
    let text = |name: &str| variable(name).map(|value| value.to_string_lossy().trim().to_owned());
    let Some(filter) = text(FILTER).filter(|filter| !filter.is_empty()) else { return Ok(None) };
    let filter = targets(&filter)?;
    // Closing tells how long it took.
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_span_events(FmtSpan::CLOSE);
    Ok(Some(match text(FORMAT).as_deref() {
        None | Some("" | "text") => lines.with_filter(filter).boxed(),
        Some("json") => lines.json().flatten_event(true).with_filter(filter).boxed(),
        Some(other) => return Err(Error::Format(other.to_owned())),
    }))
}

/// `info`, or `warn,store=debug,registry::fetch=trace`: levels for all of ours, and for modules of ours.
fn targets(text: &str) -> Result<Targets, Error> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).try_fold(
        Targets::new(),
        |targets, part| {
            let (module, level) =
                part.split_once('=').map_or((None, part), |(module, level)| (Some(module), level));
            let is_known = LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level));
            let parsed = level.parse::<LevelFilter>().ok().filter(|_| is_known);
            let level = parsed.ok_or_else(|| Error::Level(level.to_owned()))?;
            Ok(targets.with_target(target(module), level))
        },
    )
}

fn target(module: Option<&str>) -> String {
    let module = module.map(str::trim).map(|module| module.strip_prefix(OURS).unwrap_or(module));
    match module.map(|module| module.trim_start_matches("::")) {
        None | Some("") => OURS.to_owned(),
        Some(module) => fmt::format(format_args!("{OURS}::{module}")),
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn a_filter_is_for_all_of_ours_or_a_module_and_never_for_others() {
        let filter = targets("warn, store=debug,ci_build::pull=INFO").unwrap();
        assert!(filter.would_enable("ci_build::registry", &Level::WARN));
        assert!(!filter.would_enable("ci_build::registry", &Level::INFO));
        assert!(filter.would_enable("ci_build::store::lock", &Level::DEBUG));
        assert!(filter.would_enable("ci_build::pull", &Level::INFO));
        assert!(!targets("trace").unwrap().would_enable("hyper::client", &Level::ERROR));
        assert!(!targets("hyper=trace").unwrap().would_enable("hyper", &Level::ERROR));
    }

    #[test]
    fn what_means_nothing_is_an_error() {
        let failure = |text: &str| crate::error::Failure::from(targets(text).unwrap_err()).to_string();
        insta::assert_snapshot!(failure("inof"), @r"
        error: CI_BUILD_LOG: 'inof' is no level
          help: write one of off, error, warn, info, debug, trace, or for one module such as store=debug
        ");
        assert!(targets("store=3").is_err(), "levels have names");
    }
}
