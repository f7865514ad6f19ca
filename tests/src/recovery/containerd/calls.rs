//! Every call to containerd fails once, by a proxy in front of its socket: the first one, then the second, and so on until the
//! command has no more of them.

use std::process::ExitStatus;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::super::raw::Row;
use super::ground::Ground;
use super::scenario::{ENDS, IS_STOPPED, UNPACKS};
use crate::proxy::Fate;
use crate::proxy::grpc::Proxy;

/// No command has so many calls.
const MOST: usize = 200;

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
        let mut child =
            command.env("CI_BUILD_CONTAINERD", proxy.socket()).spawn().context("cannot run ci-build")?;
        super::end(&mut child)
    }
}

/// Lets one call after the other of a command fail in one way.
///
/// # Errors
/// When the command does not end, or not well once no call fails.
pub fn repeat(engine: &str, ground: &Ground, call: Call, fault: &(&str, Fate)) -> Result<Row> {
    let (mut left, started) = (Vec::new(), Instant::now());
    let (how, fate) = fault;
    for number in 1..=MOST {
        let fate = fate.clone();
        let judge = move |at, _: &str| if at == number { fate.clone() } else { Fate::Passes };
        let proxy = Proxy::new(&ground.stage.engine.socket(), judge)?;
        let place = || format!("{}, call {number} {how}", call.name());
        let status = call.play(ground, &proxy).with_context(place)?;
        let calls = proxy.calls();
        let said = |lines: Vec<String>| {
            let method = calls.get(number - 1).cloned().unwrap_or_default();
            lines.into_iter().map(move |line| format!("call {number} ({method}): {line}"))
        };
        if status.is_none() {
            left.extend(said(vec!["it does not end".into()]));
        }
        left.extend(said(ground.lies()?));
        left.extend(said(ground.leftovers().with_context(place)?));
        if calls.len() < number {
            // Its container is ended by its time limit, else it is successful.
            let is_well = status.is_some_and(|status| status.success())
                || matches!(call, Call::Run(_, words) if words == IS_STOPPED);
            ensure!(is_well, "{} ended {status:?}, though nothing failed", call.name());
            let times = u32::try_from(number - 1)?;
            let (engine, scenario) = (engine.to_owned(), format!("{}, one request of it {how}", call.name()));
            let place = format!("1 to {times}");
            let seconds = started.elapsed().as_secs_f32();
            return Ok(Row { engine, scenario, place, times, killed: times, left, seconds });
        }
    }
    anyhow::bail!("{} has more than {MOST} calls", call.name())
}
