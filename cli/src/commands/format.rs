//! Whom an answer is for.

use clap::{Args, ValueEnum};

/// How something is shown.
#[derive(Debug, Args)]
pub(super) struct Shown {
    /// How it is shown
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    #[default]
    Text,
    /// For scripts
    Json,
}
