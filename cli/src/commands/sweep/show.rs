//! What a sweep tells, for people and for scripts.

use std::io::{self, BufWriter, Write as _};

use super::super::format::Format;
use super::super::{ShellError, print_line};
use super::Arguments;
use crate::error::Failure;
use crate::sweep::report::{Document, Report, Thing};

/// What is told while it happens. Whoever stopped reading still wants the caches to be swept, so nothing of it is an error before
/// the end.
pub(super) enum Showing {
    Text { each: bool, dry_run: bool },
    Json(Box<Document<BufWriter<io::Stdout>>>),
}

impl Showing {
    pub(super) fn new(arguments: &Arguments) -> Result<Self, ShellError> {
        let dry_run = arguments.dry_run;
        Ok(match arguments.shown.format {
            Format::Text => Self::Text { each: arguments.verbose || dry_run, dry_run },
            Format::Json => {
                let out = BufWriter::new(io::stdout());
                Self::Json(Box::new(Document::new(out, dry_run).map_err(ShellError::Stdout)?))
            }
        })
    }

    pub(super) fn begin(&mut self) -> Result<(), ShellError> {
        match self {
            Self::Text { .. } => Ok(()),
            Self::Json(document) => document.begin().map_err(ShellError::Stdout),
        }
    }

    /// Whether each thing is told, not only the whole.
    pub(super) fn is_told_each(&self) -> bool {
        !matches!(self, Self::Text { each: false, .. })
    }

    pub(super) fn thing(&mut self, thing: &Thing<'_>) {
        let _ = match self {
            Self::Text { .. } => writeln!(io::stdout().lock(), "{}", thing.line()),
            Self::Json(document) => document.thing(thing),
        };
    }

    pub(super) fn end(&mut self, report: &Report) -> Result<(), Failure> {
        match self {
            // Why it was not looked at stands among the errors.
            Self::Text { .. } if report.error.is_some() && report.removed_files == 0 => Ok(()),
            Self::Text { dry_run, .. } => print_line(report.line(*dry_run)),
            Self::Json(document) => Ok(document.end(report).map_err(ShellError::Stdout)?),
        }
    }

    pub(super) fn finish(self) -> Result<(), ShellError> {
        match self {
            Self::Text { .. } => Ok(()),
            Self::Json(document) => document.finish().map_err(ShellError::Stdout),
        }
    }
}
