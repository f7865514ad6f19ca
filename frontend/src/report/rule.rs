//! A rule's page.

use crate::hazard::Rule;

/// What there is to know about a rule, in Markdown.
#[must_use]
pub fn rule(rule: &Rule) -> String {
    let Rule { name, summary, documentation: docs, .. } = rule;
    let platforms = match docs.platforms {
        [] => String::new(),
        platforms => format!(", built with `--platform {}`", platforms.join(",")),
    };
    let mut first = summary.chars();
    let summary: String = first.next().into_iter().flat_map(char::to_uppercase).chain(first).collect();
    let (what, why, bad, good, mended) = (docs.what, docs.why, docs.bad, docs.good, docs.mended);
    format!(
        "# {name}\n\n{summary}.\n\n## What it finds\n\n{what}\n\n## Why that is a hazard\n\n{why}\n\n\
         ## Example\n\nThis has the hazard{platforms}:\n\n```dockerfile\n{bad}```\n\n\
         This has not:\n\n```dockerfile\n{good}```\n\n## How it is mended\n\n{mended}\n\n\
         To leave it out, put `# check=skip={name}` at the top of the file, or above the FROM or the instruction that the\n\
         finding is placed at.\n"
    )
}
