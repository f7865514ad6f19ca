//! `ci-build lock`, as scripts use it, and the lock beneath it, with real processes.

pub(crate) mod command;
pub(crate) mod disk;
mod figures;
mod history;
mod job;
mod starvation;
mod status;

pub(crate) use command::ci_build;
