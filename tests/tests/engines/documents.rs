//! What the README and the guides tell people to type, typed on a real engine.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use ci_build_tests::host::Host;
use ci_build_tests::{Subject, dockerfile};
use xtask::registry::Registry;
use xtask::workspace;

/// The pages whose commands need nothing but an engine and a registry.
const PAGES: [&str; 4] =
    ["README.md", "docs/guides/air-gapped.md", "docs/guides/migrating.md", "docs/guides/shared-host.md"];

/// Commands that need an image of a registry far away. Tests of `pull` and `mirror` run them with images of their own.
const FAR: [&str; 2] = ["ci-build mirror debian:12", "ci-build pull debian:12"];

/// Each line is run in the directory of a Dockerfile that races, after those before it.
pub(crate) fn typed(subject: &Subject) -> Result<()> {
    let host = Host::new(subject)?;
    let registry = Registry::start()?;
    let directory = tempfile::tempdir().context("cannot create a directory")?;
    fs::copy(dockerfile("SharedCacheRace/two-stages"), directory.path().join("Dockerfile"))
        .context("cannot copy a Dockerfile")?;
    let mut seen = 0;
    for page in PAGES {
        let text = fs::read_to_string(workspace::root().join(page)).context("there is no such page")?;
        let lines = text.lines().filter_map(|line| line.strip_prefix("    "));
        let ours = lines.filter(|line| line.starts_with("ci-build ") || line.starts_with("docker "));
        for line in ours.filter(|line| !FAR.iter().any(|far| line.starts_with(far))) {
            let line = line
                .replace("registry.lan", &registry.address().to_string())
                .replace("golang:1.25 go test ./...", "local/busybox true");
            run(&host, subject, &line, directory.path()).with_context(|| format!("{page}: {line}"))?;
            seen += 1;
        }
    }
    ensure!(seen > 10, "only {seen} commands were found");
    Ok(())
}

fn run(host: &Host, subject: &Subject, line: &str, directory: &Path) -> Result<()> {
    let bin = subject.command.parent().context("a program is in a directory")?;
    let tools = subject.client.tools();
    let mut shell = host.set_up(Command::new("/bin/sh"));
    shell.args(["-ec", line]).current_dir(directory);
    shell.env("PATH", format!("{}:{}:/usr/sbin:/usr/bin:/sbin:/bin", bin.display(), tools.display()));
    let output = shell.output().context("cannot run a shell")?;
    // What doctor finds on this machine is not the question.
    let is_fine = output.status.success() || line == "ci-build doctor" && output.status.code() == Some(1);
    let said = [output.stdout, output.stderr].concat();
    ensure!(is_fine, "{}: {}", output.status, String::from_utf8_lossy(&said));
    Ok(())
}
