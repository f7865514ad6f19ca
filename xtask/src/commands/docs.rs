//! `cargo xtask docs`: the pages and pictures that come from data.

use anyhow::{Context, Result, ensure};
use ci_build_frontend::dockerfile::{self, Options};
use ci_build_frontend::hazard::RULES;
use ci_build_frontend::plan::{Plan, Policy};
use ci_build_frontend::report::{self, plan};
use xtask::{artifacts, workspace};

/// Writes a page for each rule, that of the options, those of the host command, and a picture of a plan. Tests say when one is
/// out of date.
pub(crate) fn run() -> Result<()> {
    pages()?;
    of_the_command()?;
    picture()
}

/// The command's own example writes them, so that xtask need not be linked with an engine's client.
fn of_the_command() -> Result<()> {
    let mut example = artifacts::cargo();
    example.args(["run", "--quiet", "--package", "ci-build", "--example", "docs"]);
    ensure!(example.status().context("cannot run cargo")?.success(), "the command's pages are not written");
    Ok(())
}

/// What `ci-build plan --format svg` draws of a Dockerfile in testdata.
fn picture() -> Result<()> {
    let path = workspace::root().join("testdata/dockerfiles/SharedCacheRace/apt.Dockerfile");
    let source = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let file = dockerfile::parse(source.as_bytes())?;
    let graph = dockerfile::read("Dockerfile", &file, &Options::default())?;
    let made = Plan::of(&graph, &Policy::Auto.into());
    let directory = workspace::root().join("docs/pictures");
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let picture = directory.join("plan.svg");
    std::fs::write(&picture, plan::svg(&plan::Planned::new("Dockerfile", &graph, &made)))
        .with_context(|| format!("cannot write {}", picture.display()))
}

fn pages() -> Result<()> {
    let directory = workspace::root().join("docs/rules");
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    for rule in RULES {
        let page = directory.join(rule.name).with_extension("md");
        std::fs::write(&page, report::rule(rule))
            .with_context(|| format!("cannot write {}", page.display()))?;
    }
    let page = workspace::root().join("docs/options.md");
    std::fs::write(&page, report::options()).with_context(|| format!("cannot write {}", page.display()))
}
