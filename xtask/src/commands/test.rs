//! `cargo xtask test`: everything that must hold before a change lands.

use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use xtask::artifacts::{self, cargo};
use xtask::{engines, images, workspace};

/// Something that must hold.
#[derive(Clone, Copy)]
struct Step {
    what: &'static str,
    /// What cargo is asked for.
    arguments: &'static [&'static str],
}

/// What is run, in this order: what fails fastest comes first. It is about the whole workspace, because a part of that has its
/// dependencies with other features, and they would be built once more.
const LINTS: [Step; 3] = [
    Step { what: "formatting", arguments: &["fmt", "--all", "--check"] },
    Step {
        what: "lints",
        arguments: &["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"],
    },
    Step {
        what: "the library without the gateway",
        arguments: &["check", "--package", "ci-build-frontend", "--no-default-features"],
    },
];
const BUILD: Step = Step { what: "all tests are built", arguments: &["test", "--workspace", "--no-run"] };
const UNITS: Step = Step { what: "unit and snapshot tests", arguments: &["test", "--workspace"] };
const ENGINES: Step = Step {
    what: "tests on engines",
    arguments: &["test", "--workspace", "--test", "differential", "--test", "engines"],
};

pub(crate) fn run() -> Result<()> {
    let begin = Instant::now();
    LINTS.iter().try_for_each(|step| step.run(begin, &[]))?;
    thread::scope(|scope| {
        scope.spawn(prepare);
        BUILD.run(begin, &[])
    })?;
    // By now all programs are built, for their own tests.
    let built = workspace::target()?.join("debug");
    let built = (artifacts::BUILT, &*built.to_string_lossy());
    // Many of them wait: for a registry that is as slow as it is told to be, for a lock, for a process.
    UNITS.run(begin, &[built, (engines::LATER, "1"), ("RUST_TEST_THREADS", "4")])?;
    ENGINES.run(begin, &[built, (artifacts::PROFILE, artifacts::QUICKLY_BUILT)])?;
    eprintln!("==> all of it passed, {}", passed(begin));
    Ok(())
}

impl Step {
    fn run(self, begin: Instant, variables: &[(&str, &str)]) -> Result<()> {
        let Self { what, arguments } = self;
        eprintln!("==> {what}, {}: cargo {}", passed(begin), arguments.join(" "));
        let mut step = cargo();
        // A snapshot that is new here is a failure, not a file to look at later.
        step.args(arguments).env("INSTA_UPDATE", "no").envs(variables.iter().copied());
        let status = step.status().with_context(|| format!("cannot run cargo for {what}"))?;
        if !status.success() {
            bail!("{what}: failed");
        }
        Ok(())
    }
}

fn passed(begin: Instant) -> String {
    let seconds = begin.elapsed().as_secs();
    format!("after {}:{:02}", seconds / 60, seconds % 60)
}

/// Builds and fetches what engine tests need, while cargo waits for linkers and we would for networks. What cannot be had is told by
/// the test that needs it.
fn prepare() {
    thread::scope(|scope| {
        scope.spawn(|| engines::fetch_all().and_then(|()| images::prepare()));
        scope.spawn(|| artifacts::prepare(artifacts::QUICKLY_BUILT));
    });
}
