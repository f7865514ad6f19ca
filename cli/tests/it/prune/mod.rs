//! `ci-build prune`: what it chooses, held against a naive model, and what it says without an engine.

mod ages;
mod command;
mod disk;
mod dry_run;
mod gaps;
mod model;
mod stock;
mod switches;
