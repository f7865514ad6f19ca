//! `cargo xtask bench`: how long a build takes through the frontend beside the engine's own, in pairs; then the reader beside
//! a peer, and hazards and plan at two sizes (criterion).

use std::{fs, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use xtask::{
    artifacts,
    build::Build,
    client::Client,
    command,
    engines::{self, Kind, Options},
    images, machine, workspace,
};

const PAIRS: usize = 30;

pub(crate) fn run() -> Result<()> {
    let kind = Kind::Docker28_5;
    let engine = engines::start(kind, Options::default())?;
    let client = engine.client().clone();
    images::busybox(&client)?;
    let binary = artifacts::frontend()?;
    let image = artifacts::install(&client)?;
    let dockerfile = workspace::root().join("testdata/dockerfiles/none/two-lines.Dockerfile");
    let builtin = || Build::of(&client, &dockerfile);
    let ours = || Build::of(&client, &dockerfile).through(&image);

    for build in [builtin(), ours()] {
        ensure!(build.run()?.succeeded(), "the build does not succeed");
    }
    let mut pairs = Vec::new();
    for _ in 0..PAIRS {
        pairs.push((wall(builtin())?, wall(ours())?));
    }
    let results = json!({
        "what": "wall of a cached build of testdata/dockerfiles/none/two-lines.Dockerfile",
        "engine": engine.version(),
        "machine": machine::description()?,
        "pairs_ms": pairs.iter().map(|(builtin, ours)| json!([ms(*builtin), ms(*ours)])).collect::<Vec<_>>(),
        "median_builtin_ms": median(pairs.iter().map(|(builtin, _)| ms(*builtin))),
        "median_ours_ms": median(pairs.iter().map(|(_, ours)| ms(*ours))),
        "median_added_ms": median(pairs.iter().map(|(builtin, ours)| ms(*ours) - ms(*builtin))),
        "binary_bytes": fs::metadata(&binary).context("the binary is gone")?.len(),
        "image_bytes": image_size(&client, &image)?,
    });
    engine.stop()?;
    let dir = workspace::root().join("docs/bench");
    fs::create_dir_all(&dir).context("cannot create docs/bench")?;
    let path = dir.join("overhead.json");
    fs::write(&path, format!("{results:#}\n")).context("cannot write the results")?;
    eprintln!("{results:#}\nwrote {}", path.display());
    criterion()
}

fn criterion() -> Result<()> {
    let mut bench = artifacts::cargo();
    bench.args([
        "bench",
        "--package",
        "ci-build-frontend",
        "--no-default-features",
        "--bench",
        "reader",
        "--bench",
        "plan",
    ]);
    ensure!(bench.status().context("cannot run cargo")?.success(), "the benches do not run");
    Ok(())
}

fn wall(build: Build) -> Result<Duration> {
    let outcome = build.run()?;
    ensure!(outcome.succeeded(), "{}", outcome.output);
    Ok(outcome.wall)
}

fn image_size(client: &Client, image: &str) -> Result<u64> {
    let size = command::output(client.docker().args(["image", "inspect", "--format", "{{.Size}}", image]))?;
    size.trim().parse().context("docker tells no size")
}

fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    (values[values.len() / 2] * 10.0).round() / 10.0
}
