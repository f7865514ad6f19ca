//! How long `ci-build run --containerd IMAGE true` takes beside `ctr run --rm IMAGE NAME true`.

use std::path::Path;

use anyhow::Result;
use xtask::containerd::Kind;

use super::super::raw::Speed;
use super::super::speed::{in_turns, wall};
use crate::containerd::{IMAGE, Stage};

/// Measures both in turns, so that what else the machine does falls on both alike.
///
/// # Errors
/// When a run does not end well.
pub(super) fn run(kind: Kind, program: &Path, runs: u32) -> Result<Speed> {
    let stage = Stage::with(kind, program.to_owned())?;
    let (engine, theirs) = (kind.name().to_owned(), "ctr run --rm".to_owned());
    let mut speed = Speed { engine, theirs, ..Speed::default() };
    let ours = |_| wall(stage.run(&[IMAGE, "true"]));
    let ctrs = |number: u32| {
        let mut ctr = stage.ctr();
        ctr.args(["run", "--rm", IMAGE, &format!("speed-{number}"), "true"]);
        wall(ctr)
    };
    in_turns(&mut speed, runs, ours, ctrs)?;
    Ok(speed)
}
