//! `ci-build lock`, as scripts use it, and the lock beneath it, with real processes.

pub(crate) mod command;
mod figures;
mod history;
mod starvation;
mod status;
