//! SARIF 2.1.0, which code scanning services read (<https://docs.oasis-open.org/sarif/sarif/v2.1.0/>).

use serde_json::{Value, json};

use super::{Checked, role};
use crate::graph::MountRef;
use crate::hazard::{RULES, Rule, Severity};
use crate::plan::Mended;
use crate::report::advice::advice;
use crate::report::place::Region;
use crate::report::rule;

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// One log with one run.
#[must_use]
pub fn sarif(files: &[Checked<'_>]) -> String {
    let rules: Vec<_> = RULES.iter().map(|known| descriptor(known, env!("CARGO_PKG_REPOSITORY"))).collect();
    let results = files.iter().flat_map(|file| file.mended.iter().map(|mended| result(file, mended)));
    let results: Vec<_> = results.collect();
    super::document(&json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "ci-build", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    }))
}

/// A rule as code scanning services show it. `repository` is where its page can be read, empty if nowhere.
fn descriptor(known: &Rule, repository: &str) -> Value {
    let mut descriptor = json!({
        "id": known.name,
        "name": known.name,
        "shortDescription": { "text": known.summary },
        "fullDescription": { "text": known.documentation.what },
        "help": { "text": help(known), "markdown": rule(known) },
        "defaultConfiguration": { "level": "warning" },
    });
    if !repository.is_empty() {
        let page = format!("{}/blob/HEAD/docs/rules/{}.md", repository.trim_end_matches('/'), known.name);
        descriptor["helpUri"] = page.into();
    }
    descriptor
}

/// What there is to know about a rule, for services that show no Markdown.
fn help(known: &Rule) -> String {
    let docs = &known.documentation;
    [docs.what, docs.why, docs.mended].map(str::trim).join("\n\n")
}

fn result(file: &Checked<'_>, mended: &Mended) -> Value {
    let finding = &mended.finding;
    let level = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let mut result = json!({
        "ruleId": finding.rule.name,
        "level": level,
        "message": { "text": format!("{}; {}", finding.message, advice(mended)) },
        "locations": [{ "physicalLocation": location(file, finding.at) }],
        "relatedLocations": finding.related.iter().enumerate().map(|(id, at)| json!({
            "id": id,
            "physicalLocation": location(file, *at),
            "message": { "text": role(file.graph, mended, *at) },
        })).collect::<Vec<_>>(),
    });
    if let Some(index) = RULES.iter().position(|rule| **rule == *finding.rule) {
        result["ruleIndex"] = index.into();
    }
    result
}

fn location(file: &Checked<'_>, at: MountRef) -> Value {
    let Region { start, end } = file.lines.region(&file.lines.span(file.graph, at));
    json!({
        "artifactLocation": { "uri": uri(file.path) },
        "region": {
            "startLine": start.0, "startColumn": start.1,
            "endLine": end.0, "endColumn": end.1,
        },
    })
}

/// A path as a reference: relative as it is, absolute as a file's.
fn uri(path: &str) -> String {
    let mut uri = String::from(if path.starts_with('/') { "file://" } else { "" });
    for byte in path.strip_prefix("./").unwrap_or(path).bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page that nobody can open is worse than none.
    #[test]
    fn a_rule_has_an_address_where_the_project_has_one() {
        let uri = |repository| descriptor(RULES[0], repository)["helpUri"].clone();
        assert_eq!(uri(""), Value::Null);
        let page = format!("https://host.example/project/blob/HEAD/docs/rules/{}.md", RULES[0].name);
        assert_eq!(uri("https://host.example/project/"), page);
    }

    #[test]
    fn paths_are_references() {
        assert_eq!(super::uri("./a b/Dockerfile:ü"), "a%20b/Dockerfile%3A%C3%BC");
        assert_eq!(super::uri("/srv/Dockerfile"), "file:///srv/Dockerfile");
    }
}
