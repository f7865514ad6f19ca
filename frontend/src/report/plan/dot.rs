//! For Graphviz.

use std::fmt::Write as _;

use super::Planned;
use super::grid::Grid;
use super::outline::{At, Card, Outline, Part};
use super::wording::{Words, legend};
use crate::hazard::Severity;
use crate::report::check::counted;
use crate::report::escape::{plain, short};

/// A digraph: a cluster a stage, red dashes between steps that collide, blue arrows where the plan has one wait.
#[must_use]
pub fn dot(planned: &Planned<'_>) -> String {
    let outline = Outline::of(planned);
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(planned, &outline, &mut text);
    text
}

fn write(planned: &Planned<'_>, outline: &Outline, text: &mut String) -> std::fmt::Result {
    writeln!(text, "digraph plan {{")?;
    writeln!(
        text,
        "  graph [bgcolor=white, fontname=\"monospace\", fontsize=12, ranksep=0.45, nodesep=0.35];"
    )?;
    writeln!(
        text,
        "  node [shape=box, style=\"rounded,filled\", fillcolor=white, fontname=\"monospace\", fontsize=10];"
    )?;
    writeln!(text, "  edge [color=\"#8c959f\", arrowsize=0.7, fontname=\"monospace\", fontsize=10];")?;
    let lines: Vec<_> = [planned.headline()].into_iter().chain(legend(planned, outline)).collect();
    writeln!(text, "  label={}; labelloc=t; labeljust=l;", quoted(&(lines.join("\n") + "\n"), "\\l"))?;
    for (place, card) in outline.cards.iter().enumerate() {
        write_card(planned, outline, (place, card), text)?;
    }
    for (from, to) in &outline.needs {
        writeln!(text, "  {} -> {};", last(outline, *from), node(*to))?;
    }
    for (above, below) in Grid::of(outline).breaks() {
        let below = node(At { card: below, part: 0 });
        writeln!(text, "  {} -> {below} [style=invis];", last(outline, above))?;
    }
    for (before, after) in &outline.orders {
        writeln!(text, "  {} -> {} [color=\"#0969da\", penwidth=2];", node(*before), node(*after))?;
    }
    for (number, race) in outline.races.iter().enumerate() {
        if outline.is_drawn_with_another(number) {
            continue;
        }
        let (colour, style) = look(race.severity);
        for pair in race.parts().windows(2) {
            let (a, b) = (node(pair[0].at), node(pair[1].at));
            writeln!(
                text,
                "  {a} -> {b} [color=\"{colour}\", style={style}, penwidth=2, dir=none, constraint=false];"
            )?;
        }
    }
    writeln!(text, "}}")
}

fn write_card(
    planned: &Planned<'_>,
    outline: &Outline,
    (place, card): (usize, &Card),
    text: &mut String,
) -> std::fmt::Result {
    let (name, base) = (short(&card.name, 60), short(&card.base, 60));
    if let Some(count) = card.plain() {
        let label = format!("{name}\n{base}\n{}", counted(count, "step"));
        let node = node(At { card: place, part: 0 });
        let label = quoted(&label, "\\n");
        return writeln!(text, "  {node} [label={label}, color=\"#d0d7de\", fontcolor=\"#57606a\"];");
    }
    let label = format!("{name}\n{base}\n");
    writeln!(text, "  subgraph cluster_{place} {{\n    label={}; labeljust=l;", quoted(&label, "\\l"))?;
    writeln!(text, "    style=\"rounded,filled\"; fillcolor=\"#f6f8fa\"; color=\"#d0d7de\";")?;
    for (part, what) in card.parts.iter().enumerate() {
        let at = At { card: place, part };
        let words = Words::of(planned, *what);
        let look = match (what, outline.worst(at)) {
            (Part::Folded { .. }, _) => ", color=\"#d0d7de\", fontcolor=\"#57606a\"".to_owned(),
            (Part::Primer, _) => ", color=\"#0969da\", penwidth=2".to_owned(),
            (Part::Cached(_), None) => String::new(),
            (Part::Cached(_), Some(severity)) => format!(", color=\"{}\", penwidth=2", look(severity).0),
        };
        let label = quoted(&plain_lines(&words.lines(outline)), "\\l");
        writeln!(text, "    {} [label={label}{look}];", node(at))?;
        if part > 0 {
            writeln!(text, "    {} -> {};", node(At { card: place, part: part - 1 }), node(at))?;
        }
    }
    writeln!(text, "  }}")
}

fn plain_lines(lines: &[String]) -> String {
    lines.iter().map(|line| plain(line) + "\n").collect()
}

pub(super) fn node(at: At) -> String {
    format!("s{}_{}", at.card, at.part)
}

/// The last step of a card.
pub(super) fn last(outline: &Outline, card: usize) -> String {
    let card_of = &outline.cards[card];
    let part = if card_of.plain().is_some() { 0 } else { card_of.parts.len().saturating_sub(1) };
    node(At { card, part })
}

/// Colour and style.
fn look(severity: Severity) -> (&'static str, &'static str) {
    match severity {
        Severity::Note => ("#9a6700", "dotted"),
        Severity::Warning | Severity::Error => ("#d1242f", "dashed"),
    }
}

/// A quoted string of the language: quotes and backslashes escaped, line ends as they are to be.
fn quoted(text: &str, line_end: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', line_end))
}

#[cfg(test)]
mod tests {
    #[test]
    fn strings_end_where_they_should() {
        assert_eq!(super::quoted("a\"b\\\nc", "\\l"), r#""a\"b\\\lc""#);
    }
}
