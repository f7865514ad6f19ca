//! `cargo xtask test`: everything that must hold before a change lands.

use anyhow::{Context, Result, bail};
use xtask::artifacts::cargo;

/// What is run, in this order: what fails fastest comes first.
const STEPS: [(&str, &[&str]); 5] = [
    ("formatting", &["fmt", "--all", "--check"]),
    ("lints", &["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]),
    (
        "the library without the gateway",
        &["check", "--package", "ci-build-frontend", "--no-default-features"],
    ),
    ("unit and snapshot tests", &["test"]),
    ("tests against all engines", &["test", "--package", "ci-build-tests"]),
];

pub(crate) fn run() -> Result<()> {
    for (what, arguments) in STEPS {
        eprintln!("==> {what}: cargo {}", arguments.join(" "));
        let mut step = cargo();
        // A snapshot that is new here is a failure, not a file to look at later.
        step.args(arguments).env("INSTA_UPDATE", "no");
        let status = step.status().with_context(|| format!("cannot run cargo for {what}"))?;
        if !status.success() {
            bail!("{what}: failed");
        }
    }
    eprintln!("==> all of it passed");
    Ok(())
}
