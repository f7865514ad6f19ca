//! What holds for all commands that run a program of somebody else's for a job: how long it may take, and what comes first.

use std::time::Duration;

use clap::Args;

use super::duration;
use crate::process::{self, Limits, Owner};
use crate::store::{Patience, job};
use crate::switch;

#[derive(Debug, Args)]
pub(super) struct Bounds {
    /// How long it may take; then it is ended [default: as long as it takes]
    #[arg(long, value_name = "TIME", env = "CI_BUILD_TIMEOUT", value_parser = duration::parse)]
    pub(super) timeout: Option<Duration>,
    /// How long it may take to end, before it is killed
    #[arg(long, value_name = "TIME", env = "CI_BUILD_GRACE", default_value = "10s", value_parser = duration::parse)]
    pub(super) grace: Duration,
    /// Do not look first for what killed commands left
    #[arg(long, env = "CI_BUILD_NO_RECOVER", value_parser = switch::parse)]
    pub(super) no_recover: bool,
    /// How long to wait for the lock; 0 is not at all
    #[arg(long, value_name = "TIME", env = "CI_BUILD_WAIT", default_value = "1h", value_parser = duration::parse)]
    pub(super) wait: Duration,
}

impl Bounds {
    /// How long the program may run, and with whom: who wants it is looked for now.
    pub(super) fn limits(&self) -> Limits {
        let timeout = self.timeout.filter(|limit| !limit.is_zero());
        Limits { timeout, grace: Some(self.grace), owner: owner() }
    }

    /// How long a reader waits for the store.
    pub(super) fn patience(&self) -> Patience {
        Patience { wait: self.wait, polite: Duration::ZERO }
    }
}

/// Who wants a command: the CI job, whose end is the command's too, unless the caller asked with nohup to live on.
fn owner() -> Option<Owner> {
    if process::is_ignored(signal_hook::consts::SIGHUP) { None } else { job::owner() }
}
