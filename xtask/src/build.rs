//! Builds with a time limit, and what they printed.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::{client::Client, command, poll};

/// How a build ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ended {
    /// It succeeded.
    Well,
    /// It failed by itself.
    Failed,
    /// It was still running when its time was over, and was cancelled.
    Hung,
}

/// What became of a build.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub ended: Ended,
    /// The exit code of buildx, unless a signal ended it.
    pub code: Option<i32>,
    /// Its progress and its errors, as plain text.
    pub output: String,
    /// From its start to its end.
    pub wall: Duration,
}

impl Outcome {
    /// Whether it succeeded.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.ended == Ended::Well
    }

    /// The names of its steps, and whether each came from the cache: those that the progress calls `[…] RUN …` and the
    /// like, but for the loading of images and contexts.
    #[must_use]
    pub fn steps(&self) -> Vec<(&str, bool)> {
        let mut steps = Vec::<(&str, &str, bool)>::new();
        for line in self.output.lines().filter_map(|line| line.strip_prefix('#')) {
            let Some((number, text)) = line.split_once(' ') else { continue };
            let known = steps.iter_mut().find(|(of, ..)| *of == number);
            match known {
                Some((_, _, cached)) => *cached |= text == "CACHED",
                None if text.starts_with('[') => steps.push((number, text, false)),
                None => {}
            }
        }
        let is_work = |name: &str| {
            ["RUN ", "COPY ", "ADD ", "WORKDIR "].iter().any(|word| name.contains(&format!("] {word}")))
        };
        steps
            .into_iter()
            .filter(|(_, name, _)| is_work(name))
            .map(|(_, name, cached)| (name, cached))
            .collect()
    }
}

/// A build of a Dockerfile, with its directory as the context.
pub struct Build {
    command: Command,
    limit: Duration,
    interrupt: Option<Moment>,
}

/// Whether a build has come to a moment, by what it printed so far.
type Moment = Box<dyn Fn(&str) -> bool + Send>;

impl Build {
    /// The build of `dockerfile` by the engine's own frontend.
    #[must_use]
    pub fn of(client: &Client, dockerfile: &Path) -> Self {
        let mut command = client.buildx();
        command.arg("build");
        Self::by(command, dockerfile)
    }

    /// The build of `dockerfile` by a command that takes buildx's arguments.
    #[must_use]
    pub fn by(mut command: Command, dockerfile: &Path) -> Self {
        command.args(["--progress=plain", "--file"]).arg(dockerfile);
        command.arg(dockerfile.parent().unwrap_or(Path::new(".")));
        Self { command, limit: Duration::from_secs(300), interrupt: None }
    }

    /// Has another frontend build it: the name of its image.
    #[must_use]
    pub fn through(self, frontend: &str) -> Self {
        self.argument(&format!("--build-arg=BUILDKIT_SYNTAX={frontend}"))
    }

    /// Any argument of `docker buildx build`.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.command.arg(argument);
        self
    }

    /// How long it may take: 5 minutes unless told otherwise.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Interrupts it, as by Ctrl-C, at a moment that what it printed tells.
    #[must_use]
    pub fn interrupt(mut self, at: impl Fn(&str) -> bool + Send + 'static) -> Self {
        self.interrupt = Some(Box::new(at));
        self
    }

    /// Runs it. One that is still running when its time is over is interrupted as by Ctrl-C.
    ///
    /// # Errors
    /// When it cannot be started, or does not end.
    pub fn run(mut self) -> Result<Outcome> {
        const GRACE: Duration = Duration::from_secs(20);
        let output = tempfile::tempfile().context("cannot create a file for the output")?;
        let writer: File = output.try_clone().context("cannot share a file")?;
        self.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(writer);
        let begin = Instant::now();
        let mut child = self.command.spawn().context("cannot run buildx")?;
        let pid = Pid::from_raw(i32::try_from(child.id())?).context("a child has a pid")?;
        // A handle wakes us the moment it ends: what is measured is not rounded to a pause.
        let handle = pidfd_open(pid, PidfdFlags::empty()).context("cannot open a process")?;
        if let Some(is_there) = &self.interrupt {
            let is_over = || poll::is_over(&handle, Duration::ZERO);
            let printed = || self::printed(&output);
            poll::until(self.limit, || Ok((is_over()? || is_there(&printed()?)).then_some(())))?;
            if !is_over()? {
                pidfd_send_signal(&handle, Signal::INT).context("cannot interrupt buildx")?;
            }
        }
        let in_time = poll::is_over(&handle, self.limit)?;
        let wall = begin.elapsed();
        if !in_time {
            pidfd_send_signal(&handle, Signal::INT).context("cannot interrupt buildx")?;
            if !poll::is_over(&handle, GRACE)? {
                child.kill().context("cannot kill buildx")?;
            }
        }
        let status = child.wait().context("cannot wait for buildx")?;
        let ended = match status.success() {
            _ if !in_time => Ended::Hung,
            true => Ended::Well,
            false => Ended::Failed,
        };
        Ok(Outcome { ended, code: status.code(), output: printed(&output)?, wall })
    }
}

/// All that was printed so far. The writer's place in the file stays where it is.
fn printed(output: &File) -> Result<String> {
    let mut text = vec![0; usize::try_from(output.metadata().context("cannot read the output")?.len())?];
    output.read_exact_at(&mut text, 0).context("cannot read the output")?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Removes everything that builds left in the engine's cache, the cache mounts too, so that the next one is cold.
///
/// A step that was cancelled has its caches for a moment longer than its build takes, and the engine keeps what is in use.
///
/// # Errors
/// When the engine does not do it, or cache mounts stay in use.
pub fn forget(client: &Client) -> Result<()> {
    const PATIENCE: Duration = Duration::from_secs(20);
    let is_gone = poll::until(PATIENCE, || {
        command::run(client.buildx().args(["prune", "--all", "--force"]))?;
        Ok((cache_mounts(client)? == 0).then_some(()))
    })?;
    is_gone.context("cache mounts are still in use, long after the last build")
}

/// How many cache mounts the engine keeps.
///
/// # Errors
/// When the engine does not tell.
pub fn cache_mounts(client: &Client) -> Result<usize> {
    let usage = command::output(client.buildx().args(["du", "--verbose"]))?;
    Ok(usage.lines().filter(|line| line.starts_with("Type:") && line.ends_with("exec.cachemount")).count())
}
