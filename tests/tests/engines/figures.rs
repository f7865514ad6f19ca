//! The figures for Prometheus, counted by what really happened on an engine.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use ci_build_test_registry::{Image, Registry};
use ci_build_tests::host::Host;
use ci_build_tests::{Subject, dockerfile};
use xtask::command;
use xtask::images::BUSYBOX;

/// A build, a pull, a run, a killed run that is recovered, a prune and a sweep, each of which counts.
pub(crate) fn counted(subject: &Subject) -> Result<()> {
    let host = Host::new(subject)?;
    let directory = tempfile::tempdir().context("cannot create a directory")?;
    let file = directory.path().join("ci-build.prom");
    let ours = |words: &[&str]| {
        let mut command = host.command(words);
        command.env("CI_BUILD_METRICS", &file);
        command
    };
    let origin = Registry::start()?;
    origin.put("team/app", "1", &Image::new(901, 1, 50_000));
    let pulled = format!("{}/team/app:1", origin.address());
    let path = dockerfile("none/two-lines");
    let path = path.to_str().context("a path that is no text")?;
    let cache = directory.path().join("cache");
    fs::create_dir(&cache).context("cannot create a directory")?;
    fs::write(cache.join("old"), [7; 10_000]).context("cannot write a file")?;
    let cache = cache.to_str().context("a path that is no text")?;

    command::run(&mut ours(&["build", "--tag", "leased:1", "-f", path, cache]))?;
    command::run(&mut ours(&["pull", &pulled]))?;
    command::run(&mut ours(&["run", BUSYBOX, "true"]))?;
    // It is left behind.
    let mut killed = ours(&["run", "-d", BUSYBOX, "sleep", "1000000"]);
    killed.env("CI_BUILD_TEST_KILL_AT", "run.ended");
    ensure!(!command::succeeds(&mut killed)?, "the run was not killed");
    // One that nobody leases.
    let other = directory.path().join("Dockerfile");
    fs::write(&other, format!("FROM {BUSYBOX}\nLABEL figures=1\n")).context("cannot write a file")?;
    let mut build = subject.client.buildx();
    command::run(build.args(["build", "--quiet", "--tag", "figures:1", "-f"]).arg(&other).arg(cache))?;
    let all = ["--older-than", "0", "--grace", "0", "--disk-high", "100", "--disk-low", "100"];
    command::run(&mut ours(&[&["prune", "--repository", "figures"], &all[..]].concat()))?;
    command::run(&mut ours(&["recover"]))?;
    command::run(&mut ours(&["sweep", "--older-than", "0", cache]))?;

    command::run(subject.client.docker().args(["rmi", "leased:1", &pulled]))?;

    let engine = command::output(subject.client.docker().args(["info", "--format", "{{.ID}}"]))?;
    let store = format!("store=\"{}\"", engine.trim());
    for (figure, labels) in [
        ("locks_total", "outcome="),
        ("builds_total", "outcome=\"fine\""),
        ("build_seconds_total", "outcome=\"fine\""),
        ("runs_total", "outcome=\"fine\""),
        ("run_seconds_total", "outcome=\"fine\""),
        ("pulls_total", &format!("source=\"{}\"", origin.address())),
        ("pull_seconds_total", ""),
        ("prunes_total", "outcome=\"done\""),
        ("prune_seconds_total", &store),
        ("prune_deleted_total", "kind=\"image\""),
        ("recoveries_total", "outcome="),
        ("recovery_removed_total", "kind=\"container\""),
        ("sweeps_total", "outcome="),
        ("sweep_removed_total", ""),
        ("sweep_freed_bytes_total", ""),
    ] {
        let value = value(&file, figure, labels)?;
        ensure!(value > 0.0, "{figure}{{{labels}}} is {value}");
    }
    Ok(())
}

/// What a figure with such labels says, all of them together.
fn value(file: &Path, figure: &str, labels: &str) -> Result<f64> {
    let text = fs::read_to_string(file).context("there are no figures")?;
    let name = format!("ci_build_{figure}");
    let lines = text.lines().filter(|line| {
        line.strip_prefix(&name).is_some_and(|rest| rest.starts_with(['{', ' '])) && line.contains(labels)
    });
    let values = lines.map(|line| line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()));
    let values: Option<Vec<f64>> = values.collect();
    let values = values.context("a figure is no number")?;
    ensure!(!values.is_empty(), "no {figure}{{{labels}}} in:\n{text}");
    Ok(values.iter().sum())
}
