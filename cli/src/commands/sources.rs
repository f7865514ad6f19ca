//! The flags that say where images come from, and what is asked of whoever has them.

use std::time::Duration;

use clap::Args;

use super::{duration, size};
use crate::config;
use crate::error::Failure;
use crate::registry::{Limits, Mirror, Retry};

#[derive(Debug, Args)]
pub(super) struct MirrorArguments {
    /// A registry that has another one's images, as REGISTRY[/PREFIX]=ADDRESS
    /// [repeatable; default: the tables [[mirror]] of the configuration]
    #[arg(long, value_name = "MIRROR", env = "CI_BUILD_MIRROR", value_delimiter = ',')]
    mirror: Vec<Mirror>,
    /// How long a mirror may take to begin its answer
    #[arg(long, value_name = "TIME", env = "CI_BUILD_FIRST_BYTE", default_value = "5s", value_parser = duration::parse)]
    first_byte: Duration,
    /// The least that a mirror has to send in a second, over the window; 0 asks for nothing
    #[arg(long, value_name = "SIZE", env = "CI_BUILD_FLOOR", default_value = "1MiB", value_parser = size::parse)]
    floor: u64,
    /// Over which time the floor is asked for
    #[arg(long, value_name = "TIME", env = "CI_BUILD_WINDOW", default_value = "10s", value_parser = duration::parse)]
    window: Duration,
}

#[derive(Debug, Args)]
pub(super) struct PatienceArguments {
    /// How long the image's own registry may take to begin its answer, and may then send nothing
    #[arg(long, value_name = "TIME", env = "CI_BUILD_STALL", default_value = "1m", value_parser = duration::parse)]
    stall: Duration,
    /// How often a request is repeated
    #[arg(long, value_name = "N", env = "CI_BUILD_RETRIES", default_value_t = 10)]
    retries: u32,
    /// The longest pause before the first repetition; it doubles with each, up to 30s
    #[arg(long, value_name = "TIME", env = "CI_BUILD_BACKOFF", default_value = "1s", value_parser = duration::parse)]
    backoff: Duration,
}

impl MirrorArguments {
    /// The mirrors.
    pub(super) fn mirrors(&self) -> Result<Vec<Mirror>, Failure> {
        if self.mirror.is_empty() { Ok(config::section("mirror")?) } else { Ok(self.mirror.clone()) }
    }

    /// What mirrors have to prove.
    pub(super) fn limits(&self) -> Limits {
        Limits { first_byte: self.first_byte, floor: self.floor, window: self.window }
    }
}

impl PatienceArguments {
    /// What is asked of a source when there is no other.
    pub(super) fn limits(&self) -> Limits {
        Limits { first_byte: self.stall, floor: 0, window: self.stall }
    }

    /// How requests are repeated.
    pub(super) fn retry(&self) -> Retry {
        let longest = Duration::from_secs(30).max(self.backoff);
        Retry { times: self.retries, first: self.backoff, longest }
    }
}
