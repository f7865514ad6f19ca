//! `cargo xtask docs`: the pages and pictures that come from data.

use anyhow::{Context, Result, ensure};
use ci_build_frontend::dockerfile::{self, Options};
use ci_build_frontend::hazard::RULES;
use ci_build_frontend::plan::{Plan, Policy};
use ci_build_frontend::report::{self, plan};
use xtask::{artifacts, workspace};

/// Writes a page for each rule, that of the options, those of the host command, and pictures of plans. Tests say when one is
/// out of date.
pub(crate) fn run() -> Result<()> {
    pages()?;
    of_the_command()?;
    pictures()
}

/// The command's own example writes them, so that xtask need not be linked with an engine's client.
fn of_the_command() -> Result<()> {
    let mut example = artifacts::cargo();
    example.args(["run", "--quiet", "--package", "ci-build", "--example", "docs"]);
    ensure!(example.status().context("cannot run cargo")?.success(), "the command's pages are not written");
    Ok(())
}

/// What `ci-build plan --format svg` draws of a Dockerfile in testdata, as it is and as `ci-build rewrite` has it, each with its name.
fn drawn() -> Result<[(&'static str, String); 2]> {
    let path = workspace::root().join("testdata/dockerfiles/SharedCacheRace/apt.Dockerfile");
    let source = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let options = Options::default();
    let rewritten = dockerfile::rewrite(&source, &options, &Policy::Auto.into())?;
    let draw = |name: &str, source: &[u8]| -> Result<String> {
        let graph = dockerfile::read(name, &dockerfile::parse(source)?, &options)?;
        let made = Plan::of(&graph, &Policy::Off.into());
        Ok(plan::svg(&plan::Planned::new(name, &graph, &made)))
    };
    let after = draw("Dockerfile, rewritten", rewritten.text.as_bytes())?;
    Ok([("before.svg", draw("Dockerfile", &source)?), ("after.svg", after)])
}

fn pictures() -> Result<()> {
    let directory = workspace::root().join("docs/pictures");
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    for (name, picture) in drawn()? {
        let path = directory.join(name);
        std::fs::write(&path, picture).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pictures_are_up_to_date() {
        for (name, picture) in drawn().unwrap() {
            let path = workspace::root().join("docs/pictures").join(name);
            let is_same = std::fs::read_to_string(&path).is_ok_and(|text| text == picture);
            assert!(is_same, "`cargo xtask docs` writes {} anew", path.display());
        }
    }
}
