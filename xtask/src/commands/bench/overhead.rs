//! What the frontend adds to a build: rounds of builds of one Dockerfile, by the engine's own frontend, by one in an image that does
//! nothing of its own, and by ours.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use xtask::{
    artifacts,
    build::{self, Build},
    client::Client,
    command,
    engines::{self, Kind, Options},
    images, machine,
};

/// What was measured.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Overhead {
    pub(super) machine: Value,
    pub(super) engine: String,
    pub(super) binary_bytes: u64,
    pub(super) image_bytes: u64,
    pub(super) builds: Vec<Builds>,
}

/// Rounds of builds of one kind.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Builds {
    /// How many instructions run or copy something.
    pub(super) steps: usize,
    pub(super) cache: Cache,
    /// What the median of what is added is to stay below, where something was promised.
    pub(super) bar_ms: Option<f64>,
    pub(super) rounds: Vec<Round>,
}

/// How long each frontend took once, one after the other. In milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Round {
    /// The engine's own.
    pub(super) builtin: f64,
    /// One in an image that hands on what the engine's own made.
    pub(super) forward: f64,
    pub(super) ours: f64,
}

impl Round {
    /// What ours adds to the engine's own.
    fn added(&self) -> f64 {
        self.ours - self.builtin
    }

    /// What any frontend in an image adds to it.
    fn container(&self) -> f64 {
        self.forward - self.builtin
    }

    /// What ours adds to what any frontend does.
    fn own(&self) -> f64 {
        self.ours - self.forward
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Cache {
    /// Everything is in the engine's cache.
    Cached,
    /// Nothing is.
    Cold,
}

impl Builds {
    pub(super) fn median_builtin(&self) -> f64 {
        self.median(|round| round.builtin)
    }

    pub(super) fn median_ours(&self) -> f64 {
        self.median(|round| round.ours)
    }

    pub(super) fn median_added(&self) -> f64 {
        self.median(Round::added)
    }

    pub(super) fn median_container(&self) -> f64 {
        self.median(Round::container)
    }

    pub(super) fn median_own(&self) -> f64 {
        self.median(Round::own)
    }

    fn median(&self, of: impl Fn(&Round) -> f64) -> f64 {
        let mut values: Vec<_> = self.rounds.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).map_or(f64::NAN, |median| (median * 10.0).round() / 10.0)
    }
}

/// Steps, the bar for them, and how many rounds with and without a cache.
const SIZES: [(usize, Option<f64>, usize, usize); 3] =
    [(2, Some(80.0), 30, 15), (50, None, 20, 7), (500, Some(150.0), 15, 3)];

/// The name of the frontend that does nothing of its own.
const FORWARD: &str = "local/forward:latest";

/// Builds all there is; `rounds` of each kind, if told.
pub(super) fn measure(rounds: Option<usize>) -> Result<Overhead> {
    let engine = engines::start(Kind::Docker28_5, Options::default())?;
    let client = engine.client().clone();
    images::busybox(&client)?;
    let binary = artifacts::frontend()?;
    let image = artifacts::install(&client)?;
    images::of_frontend(&client, &artifacts::forward()?, FORWARD)?;
    let mut builds = Vec::new();
    for (steps, bar_ms, cached, cold) in SIZES {
        let dir = tempfile::tempdir().context("cannot create a directory")?;
        let dockerfile = dir.path().join("Dockerfile");
        fs::write(&dockerfile, text(steps)).context("cannot write a Dockerfile")?;
        let bench = Bench { client: &client, image: &image, dockerfile };
        for (cache, usual) in [(Cache::Cold, cold), (Cache::Cached, cached)] {
            let rounds = bench.rounds(cache, rounds.unwrap_or(usual))?;
            builds.push(Builds { steps, cache, bar_ms, rounds });
        }
    }
    let overhead = Overhead {
        machine: machine::description()?,
        engine: engine.version().to_owned(),
        binary_bytes: fs::metadata(&binary).context("the binary is gone")?.len(),
        image_bytes: image_size(&client, &image)?,
        builds,
    };
    engine.stop()?;
    Ok(overhead)
}

/// A Dockerfile of so many steps, at most fifty in a stage: an image has no more than about 120 layers. One in five runs
/// a command with a cache of its stage; the others make a directory. Nothing in it is a hazard.
fn text(steps: usize) -> String {
    const STAGE: usize = 50;
    let mut text = String::new();
    let stages = steps.div_ceil(STAGE);
    let mut left = steps;
    for stage in 0..stages {
        let is_last = stage + 1 == stages;
        // Writing to a string does not fail.
        let _ = writeln!(text, "FROM {} AS s{stage}", images::BUSYBOX);
        let copies = if is_last { stage } else { 0 };
        for earlier in 0..copies {
            let _ = writeln!(text, "COPY --from=s{earlier} /work /work{earlier}");
        }
        let own = if is_last { left } else { STAGE };
        for step in copies..own {
            let _ = if step % 5 == 0 {
                writeln!(
                    text,
                    "RUN --mount=type=cache,id=c{stage},target=/cache mkdir -p /work && echo {step} > /work/{step}"
                )
            } else {
                writeln!(text, "WORKDIR /work/d{step}")
            };
        }
        left -= own;
    }
    text
}

struct Bench<'b> {
    client: &'b Client,
    image: &'b str,
    dockerfile: PathBuf,
}

impl Bench<'_> {
    /// In turns, and each time another one is first.
    fn rounds(&self, cache: Cache, count: usize) -> Result<Vec<Round>> {
        type Field = fn(&mut Round) -> &mut f64;
        let frontends: [(Option<&str>, Field); 3] = [
            (None, |round| &mut round.builtin),
            (Some(FORWARD), |round| &mut round.forward),
            (Some(self.image), |round| &mut round.ours),
        ];
        for (frontend, _) in frontends {
            self.wall(frontend)?;
        }
        (0..count)
            .map(|round| {
                let mut walls = Round::default();
                for turn in 0..frontends.len() {
                    let (frontend, field) = frontends[(round + turn) % frontends.len()];
                    if cache == Cache::Cold {
                        build::forget(self.client)?;
                    }
                    *field(&mut walls) = ms(self.wall(frontend)?);
                }
                Ok(walls)
            })
            .collect()
    }

    fn wall(&self, frontend: Option<&str>) -> Result<Duration> {
        let path: &Path = &self.dockerfile;
        let build = Build::of(self.client, path);
        let build = match frontend {
            None => build,
            Some(image) => build.through(image),
        };
        let outcome = build.run()?;
        ensure!(outcome.succeeded(), "{}", outcome.output);
        Ok(outcome.wall)
    }
}

fn image_size(client: &Client, image: &str) -> Result<u64> {
    let size = command::output(client.docker().args(["image", "inspect", "--format", "{{.Size}}", image]))?;
    size.trim().parse().context("docker tells no size")
}

fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_steps_as_asked_for() {
        for (steps, ..) in SIZES {
            let text = text(steps);
            let is_step =
                |line: &&str| ["RUN ", "COPY ", "WORKDIR "].iter().any(|word| line.starts_with(word));
            assert_eq!(text.lines().filter(is_step).count(), steps);
        }
        assert_eq!(text(2).lines().count(), 3);
    }
}
