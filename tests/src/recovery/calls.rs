//! Every request to the engine fails once: docker's, buildx's and ours, by a proxy in front of the engine's socket. The first
//! one, then the second, and so on until the command has no more of them.

use std::path::Path;
use std::process::ExitStatus;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use xtask::poll;

use super::ground::{Ground, PATIENCE};
use super::raw::Row;
use super::scenario::{ENDS, IS_DETACHED, IS_STOPPED};
use crate::proxy::{Fate, Proxy};

/// No command has so many requests.
const MOST: usize = 200;

/// A command, one of whose requests fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// `ci-build run`, with these words.
    Run(&'static str, &'static [&'static str]),
    /// `ci-build recover` of a killed run.
    Recover,
    /// `ci-build build`.
    Build,
}

/// All of them.
pub const CALLS: &[Call] = &[
    Call::Run("run", ENDS),
    Call::Run("run that is stopped", IS_STOPPED),
    Call::Run("detached run", IS_DETACHED),
    Call::Recover,
    Call::Build,
];

/// The ways to fail, and what they are called.
#[must_use]
pub fn faults() -> [(&'static str, Fate); 3] {
    [
        ("is refused", Fate::Refused(500, "told to".into())),
        ("is not heard", Fate::Unheard),
        ("has its answer lost", Fate::Lost),
    ]
}

impl Call {
    fn name(self) -> &'static str {
        match self {
            Self::Run(name, _) => name,
            Self::Recover => "recover",
            Self::Build => "build",
        }
    }

    /// Plays it through a proxy, to its end; none where it does not come, and it is killed.
    fn play(self, ground: &Ground, proxy: &Proxy) -> Result<Option<ExitStatus>> {
        let mut command = match self {
            // A job of its own: a detached container is its, and is left when it has ended.
            Self::Run(_, words) => ground.job(words),
            Self::Recover => {
                ground.leave()?;
                ground.ours(&["recover"])
            }
            Self::Build => ground.build("true")?,
        };
        // Which docker would use, also where a context names the engine.
        command.env("DOCKER_HOST", proxy.address()).env_remove("DOCKER_CONTEXT");
        let mut child = command.spawn().context("cannot run ci-build")?;
        let ended = poll::until(PATIENCE, || Ok(child.try_wait()?))?;
        if ended.is_none() {
            let _ = child.kill();
            child.wait()?;
        }
        Ok(ended)
    }
}

/// What was seen of a command one of whose requests failed.
pub(super) struct Trial {
    /// How it ended, if it did.
    pub status: Option<ExitStatus>,
    /// All that it asked.
    pub requests: Vec<String>,
    /// What is not as promised, before a recovery and after.
    pub left: Vec<String>,
}

/// Lets one request after the other fail, until there are no more of them: then the command has to end well.
///
/// # Errors
/// When the command does not end well once no request fails.
pub(super) fn one_by_one(
    engine: &str,
    (name, how): (&str, &str),
    is_stopped: bool,
    play: impl Fn(usize) -> Result<Trial>,
) -> Result<Row> {
    let scenario = format!("{name}, one request of it {how}");
    // What its time limit ends is not successful.
    let is_well = |status: ExitStatus| status.success() || is_stopped;
    let (mut left, started) = (Vec::new(), Instant::now());
    for number in 1..=MOST {
        let trial = play(number).with_context(|| format!("{scenario}: request {number}"))?;
        let is_endless = trial.status.is_none().then(|| "it does not end".to_owned());
        let request = trial.requests.get(number - 1).map_or("", String::as_str);
        let said = is_endless.into_iter().chain(trial.left);
        left.extend(said.map(|line| format!("request {number} ({request}): {line}")));
        if trial.requests.len() < number {
            ensure!(
                trial.status.is_some_and(is_well),
                "{scenario}: none failed, and it ended {:?}",
                trial.status
            );
            let times = u32::try_from(number - 1)?;
            let (engine, place) = (engine.to_owned(), format!("1 to {times}"));
            let seconds = started.elapsed().as_secs_f32();
            return Ok(Row { engine, scenario, place, times, killed: times, left, seconds });
        }
    }
    anyhow::bail!("{scenario}: there are more than {MOST} requests")
}

/// Lets one request after the other of a command fail in one way.
///
/// # Errors
/// When the command does not end well once no request fails.
pub fn repeat(engine: &str, socket: &Path, ground: &Ground, call: Call, fault: &(&str, Fate)) -> Result<Row> {
    let (how, fate) = fault;
    let is_stopped = matches!(call, Call::Run(_, words) if words == IS_STOPPED);
    one_by_one(engine, (call.name(), how), is_stopped, |number| {
        let fate = fate.clone();
        let proxy = Proxy::new(socket, move |at, _| if at == number { fate.clone() } else { Fate::Passes })?;
        let status = call.play(ground, &proxy)?;
        let left = [ground.lies()?, ground.leftovers()?].concat();
        Ok(Trial { status, requests: proxy.requests(), left })
    })
}
