//! `cargo xtask docs`: the pages that come from data.

use anyhow::{Context, Result};
use ci_build_frontend::hazard::RULES;
use ci_build_frontend::report;
use xtask::workspace;

/// Writes a page for each rule, and that of the options. Tests of the frontend's say when one is out of date.
pub(crate) fn run() -> Result<()> {
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
