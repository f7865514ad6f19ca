//! `cargo xtask lab`: the engine tests, as often as our claims say, with the raw results written down.

use std::fs;

use anyhow::{Context, Result, bail};
use xtask::{artifacts::cargo, machine, workspace};

pub(crate) fn run() -> Result<()> {
    let dir = workspace::root().join("docs/lab");
    fs::create_dir_all(&dir).context("cannot create docs/lab")?;
    let raw = dir.join("hazards.json");
    let status = cargo()
        .args(["test", "--package", "ci-build-tests", "--", "--test-threads=2"])
        .env("CI_BUILD_LAB", &raw)
        .status()
        .context("cannot run cargo")?;
    let rows = fs::read_to_string(&raw).context("the tests wrote no results")?;
    let rows: serde_json::Value = serde_json::from_str(&rows).context("the results are no JSON")?;
    let results = serde_json::json!({"machine": machine::description()?, "rows": rows});
    fs::write(&raw, format!("{results:#}\n")).context("cannot write the results")?;
    eprintln!("wrote {}", raw.display());
    if !status.success() {
        bail!("not everything passed");
    }
    Ok(())
}
