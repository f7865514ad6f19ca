//! For people, as rustc does it: the lines of all steps that a finding is about, and how to mend it.

use std::collections::BTreeMap;
use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};

use super::{Checked, count, counted, role};
use crate::hazard::Severity;
use crate::plan::Mended;
use crate::report::advice::advice;
use crate::report::escape::plain;

/// How many of the other mounts of a finding are shown.
const MOST_RELATED: usize = 8;

/// Annotations that are further apart are shown as snippets of their own, in lines: what lies between is looked through.
const APART: usize = 60;

/// All findings and a line that counts them, with escapes for a terminal.
#[must_use]
pub fn text(files: &[Checked<'_>]) -> String {
    let renderer = Renderer::styled();
    let mut text = String::new();
    for file in files {
        for mended in file.mended {
            text.push_str(&renderer.render(&[finding(file, mended)]));
            text.push_str("\n\n");
        }
    }
    let severities = [Severity::Error, Severity::Warning, Severity::Note];
    let counts = severities.map(|severity| (severity, count(files, severity)));
    let counts = counts.iter().filter(|(_, count)| *count > 0);
    let counts: Vec<_> = counts.map(|(severity, count)| counted(*count, &severity.to_string())).collect();
    let found = if counts.is_empty() { "no findings".to_owned() } else { counts.join(", ") };
    text.push_str(&format!("{} checked: {found}\n", counted(files.len(), "file")));
    text
}

fn finding<'c>(file: &Checked<'c>, mended: &'c Mended) -> Group<'c> {
    let finding = &mended.finding;
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let title = level.primary_title(&finding.message).id(finding.rule.name);
    let mut group = title.elements(snippets(file, mended));
    if let Some(more) = finding.related.len().checked_sub(MOST_RELATED).filter(|more| *more > 0) {
        group = group.element(Level::NOTE.message(format!("and {}", counted(more, "more mount"))));
    }
    group
        .element(Level::HELP.message(advice(mended)))
        .element(Level::NOTE.message(format!("`ci-build check --explain {}` tells more", finding.rule.name)))
}

/// The lines of the mounts, the first snippet being the one in which the finding is placed.
fn snippets<'c>(file: &Checked<'c>, mended: &Mended) -> Vec<Snippet<'c, Annotation<'c>>> {
    let finding = &mended.finding;
    let primary = file.lines.span(file.graph, finding.at);
    let mut labels = BTreeMap::new();
    let related = finding.related.iter().rev().take(MOST_RELATED).rev();
    for at in related.chain([&finding.at]) {
        let span = file.lines.span(file.graph, *at);
        labels.insert((span.start, span.end), role(file.graph, mended, *at));
    }
    let mut chunks: Vec<Vec<(Range<usize>, String)>> = Vec::new();
    let mut last = 0;
    for ((start, end), label) in labels {
        let line = file.lines.number(start);
        match chunks.last_mut() {
            Some(chunk) if line <= last + APART => chunk.push((start..end, label)),
            _ => chunks.push(vec![(start..end, label)]),
        }
        last = last.max(file.lines.number(end));
    }
    // Stable: the one with the primary mount, then the others in file order.
    chunks.sort_by_key(|chunk| chunk.iter().all(|(span, _)| *span != primary));
    chunks.into_iter().map(|chunk| snippet(file, chunk, &primary)).collect()
}

fn snippet<'c>(
    file: &Checked<'c>,
    chunk: Vec<(Range<usize>, String)>,
    primary: &Range<usize>,
) -> Snippet<'c, Annotation<'c>> {
    let first = chunk.iter().map(|(span, _)| file.lines.number(span.start)).min().unwrap_or(1);
    let last = chunk.iter().map(|(span, _)| file.lines.number(span.end)).max().unwrap_or(1);
    let (start, end) = (file.lines.start(first), file.lines.start(last + 1));
    let annotations = chunk.into_iter().map(|(span, label)| {
        let kind = if span == *primary { AnnotationKind::Primary } else { AnnotationKind::Context };
        kind.span(span.start - start..span.end - start).label(label)
    });
    Snippet::source(&file.source[start..end])
        .line_start(first)
        .path(plain(file.path))
        .annotations(annotations.collect::<Vec<_>>())
}
