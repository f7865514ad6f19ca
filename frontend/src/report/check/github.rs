//! Workflow commands, which GitHub shows beside the lines of a change.

use std::fmt::Write as _;

use super::Checked;
use crate::hazard::Severity;
use crate::report::advice::advice;

/// A line a finding.
#[must_use]
pub fn github(files: &[Checked<'_>]) -> String {
    let mut text = String::new();
    for file in files {
        for mended in file.mended {
            let finding = &mended.finding;
            let command = match finding.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Note => "notice",
            };
            let region = file.lines.region(&file.lines.span(file.graph, finding.at));
            let message = format!("{}\nhelp: {}", finding.message, advice(mended));
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "::{command} file={},line={},endLine={},title={}::{}",
                property(file.path),
                region.start.0,
                region.end.0,
                property(finding.rule.name),
                data(&message),
            );
        }
    }
    text
}

/// What stands behind the second `::` (`escapeData` of @actions/core).
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property's value (`escapeProperty`).
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_would_end_a_command_is_escaped() {
        assert_eq!(super::property("a:b,c%\n"), "a%3Ab%2Cc%25%0A");
        assert_eq!(super::data("a:b,c%\r\n::error::"), "a:b,c%25%0D%0A::error::");
    }
}
