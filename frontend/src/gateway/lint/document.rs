//! Our findings in the result of `docker build --check`, beside upstream's.
//!
//! The result is a document, a text of the same, and an exit code (`frontend/subrequests/lint`). Its warnings have no
//! severity, and any of them makes the exit code 1; so a [`Severity::Note`], which nobody has to act upon, is none.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::graph::BuildGraph;
use crate::hazard::{Checks, Finding, Severity};
use crate::report;

/// Where the rules' pages are. Empty where the project has no public address.
const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");

/// The result of upstream's check.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct LintResult {
    warnings: Option<Vec<Value>>,
    #[serde(default)]
    sources: Vec<LintSource>,
    #[serde(rename = "buildError", default, skip_serializing_if = "Option::is_none")]
    build_error: Option<Value>,
    /// What newer versions add.
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

/// A file that was checked.
#[derive(Debug, Deserialize, Serialize)]
struct LintSource {
    #[serde(default)]
    filename: String,
    /// In Base64.
    #[serde(default)]
    data: Option<String>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

/// A finding for the result.
#[derive(Debug)]
pub(super) struct LintFinding<'f> {
    /// The finding.
    pub(super) finding: &'f Finding,
    /// The last line of the instruction that it is placed at.
    pub(super) end: Option<u32>,
}

impl LintResult {
    /// Reads the document. None if it is another one than we know.
    #[must_use]
    pub(super) fn parse(document: &[u8]) -> Option<Self> {
        serde_json::from_slice(document).ok()
    }

    /// The name and the bytes of the Dockerfile.
    #[must_use]
    pub(super) fn dockerfile(&self) -> Option<(&str, Vec<u8>)> {
        let source = self.sources.first()?;
        Some((&source.filename, BASE64_STANDARD.decode(source.data.as_deref()?).ok()?))
    }

    /// Adds the findings that somebody should act upon, and gives the text of them, which is empty if there is none.
    ///
    /// With `# check=error=true` they are an error of the build as well, as upstream's are.
    pub(super) fn add(
        &mut self,
        graph: &BuildGraph,
        findings: &[LintFinding<'_>],
        checks: &Checks,
        source: &str,
    ) -> String {
        let mut text = String::new();
        let mut failing = Vec::new();
        let to_tell = findings.iter().filter(|found| found.finding.severity >= Severity::Warning);
        for LintFinding { finding, end } in to_tell {
            let rule = finding.rule;
            let location = graph.step(finding.at.step).location.as_ref();
            let detail = report::told(graph, finding);
            let mut warning = json!({"ruleName": rule.name, "description": rule.summary, "detail": detail});
            let url = url(REPOSITORY, rule.name);
            // Writing to a string does not fail.
            let _ = write!(text, "\nWARNING: {}", rule.name);
            if let Some(url) = &url {
                warning["url"] = json!(url);
                let _ = write!(text, " - {url}");
            }
            let _ = write!(text, "\n{detail}\n");
            let index = location
                .and_then(|location| self.sources.iter().position(|source| source.filename == location.file));
            warning["location"] = match (index, location) {
                (Some(index), Some(location)) => {
                    let end = end.unwrap_or(location.line).max(location.line);
                    excerpt(&mut text, &location.file, source, location.line, end);
                    let range = json!({"start": {"line": location.line}, "end": {"line": end}});
                    json!({"sourceIndex": index, "ranges": [range]})
                }
                _ => json!({"sourceIndex": -1}),
            };
            if checks.fails(graph, finding) && !failing.contains(&rule.name) {
                failing.push(rule.name);
            }
            self.warnings.get_or_insert_default().push(warning);
        }
        if !failing.is_empty() && self.build_error.is_none() {
            let message = format!("lint violation found for rules: {}", failing.join(", "));
            self.build_error = Some(json!({"message": message, "location": {}}));
        }
        text
    }

    /// The document.
    #[must_use]
    pub(super) fn document(&self) -> String {
        serde_json::to_string_pretty(self).expect("no map in it has keys that are no text")
    }
}

fn url(repository: &str, rule: &str) -> Option<String> {
    (!repository.is_empty()).then(|| format!("{repository}/blob/main/docs/rules/{rule}.md"))
}

/// Some lines of a file in the form of BuildKit's `errdefs.Source`.
fn excerpt(text: &mut String, file: &str, source: &str, start: u32, end: u32) {
    let around = if start == end { 2 } else { 1 };
    let (from, to) = (start.saturating_sub(around).max(1), end.saturating_add(around));
    let rule = "-".repeat(20);
    // Writing to a string does not fail.
    let _ = writeln!(text, "{file}:{start}\n{rule}");
    let skipped = usize::try_from(from - 1).unwrap_or(usize::MAX);
    for (number, line) in (from..=to).zip(source.split('\n').skip(skipped)) {
        let mark = if (start..=end).contains(&number) { ">>>" } else { "   " };
        let _ = writeln!(text, " {number:>3} | {mark} {line}");
    }
    let _ = writeln!(text, "{rule}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_linked_where_the_project_has_an_address() {
        let linked = url("https://host/ci-build", "SharedCacheRace");
        assert_eq!(linked.as_deref(), Some("https://host/ci-build/blob/main/docs/rules/SharedCacheRace.md"));
        assert_eq!(url("", "SharedCacheRace"), None);
        let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/rules");
        for rule in crate::hazard::RULES {
            assert!(docs.join(format!("{}.md", rule.name)).exists(), "{} has no page", rule.name);
        }
    }

    #[test]
    fn an_excerpt_has_lines_around() {
        let shown = |start, end| {
            let mut text = String::new();
            excerpt(&mut text, "Dockerfile", "a\nb\nc\nd\ne", start, end);
            text
        };
        insta::assert_snapshot!(shown(1, 1), @r"
        Dockerfile:1
        --------------------
           1 | >>> a
           2 |     b
           3 |     c
        --------------------
        ");
        insta::assert_snapshot!(shown(3, 4), @r"
        Dockerfile:3
        --------------------
           2 |     b
           3 | >>> c
           4 | >>> d
           5 |     e
        --------------------
        ");
        insta::assert_snapshot!(shown(9, 9), @r"
        Dockerfile:9
        --------------------
        --------------------
        ");
    }
}
