//! Every call to containerd fails once, by a proxy in front of its socket: the first one, then the second, and so on until the
//! command has no more of them.

use std::process::ExitStatus;

use anyhow::{Context, Result};

use super::super::calls::{Trial, one_by_one};
use super::super::raw::Row;
use super::ground::Ground;
use super::scenario::{ENDS, IS_STOPPED, UNPACKS};
use crate::containerd::at;
use crate::proxy::Fate;
use crate::proxy::grpc::Proxy;

/// What gRPC calls an error of the server itself.
const INTERNAL: u16 = 13;

/// A command, one of whose calls fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// `ci-build run --containerd`, with these words.
    Run(&'static str, &'static [&'static str]),
    /// `ci-build recover` of a killed run.
    Recover,
}

/// All of them.
pub const CALLS: &[Call] = &[
    Call::Run("run", ENDS),
    Call::Run("run of an archive", UNPACKS),
    Call::Run("run that is stopped", IS_STOPPED),
    Call::Recover,
];

/// The ways to fail, and what they are called.
#[must_use]
pub fn faults() -> [(&'static str, Fate); 3] {
    [
        ("is refused", Fate::Refused(INTERNAL, "told to".into())),
        ("is not heard", Fate::Unheard),
        ("has its answer lost", Fate::Lost),
    ]
}

impl Call {
    fn name(self) -> &'static str {
        match self {
            Self::Run(name, _) => name,
            Self::Recover => "recover",
        }
    }

    /// Plays it through a proxy, to its end; none where it does not come, and it is killed.
    fn play(self, ground: &Ground, proxy: &Proxy) -> Result<Option<ExitStatus>> {
        let mut command = match self {
            Self::Run(_, words) => ground.run(words),
            Self::Recover => {
                ground.leave()?;
                ground.quiet(ground.stage.ours(&["recover"]))
            }
        };
        let mut child = at(&mut command, proxy.socket()).spawn().context("cannot run ci-build")?;
        super::end(&mut child)
    }
}

/// Lets one call after the other of a command fail in one way.
///
/// # Errors
/// When the command does not end well once no call fails.
pub fn repeat(engine: &str, ground: &Ground, call: Call, fault: &(&str, Fate)) -> Result<Row> {
    let (how, fate) = fault;
    let is_stopped = matches!(call, Call::Run(_, words) if words == IS_STOPPED);
    one_by_one(engine, (call.name(), how), is_stopped, |number| {
        let fate = fate.clone();
        let judge = move |at, _: &str| if at == number { fate.clone() } else { Fate::Passes };
        let proxy = Proxy::new(&ground.stage.engine.socket(), judge)?;
        let status = call.play(ground, &proxy)?;
        let left = [ground.lies()?, ground.leftovers()?].concat();
        Ok(Trial { status, requests: proxy.calls(), left })
    })
}
