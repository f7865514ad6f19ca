//! For Graphviz.

use std::fmt::Write as _;

use super::Planned;
use super::outline::{Box, Outline};
use crate::graph::MountRef;
use crate::report::escape::{plain, short};

/// A digraph: a cluster a stage, red dashes between steps that race, blue arrows where the plan has one wait.
#[must_use]
pub fn dot(planned: &Planned<'_>) -> String {
    let outline = Outline::of(planned);
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(planned, &outline, &mut text);
    text
}

fn write(planned: &Planned<'_>, outline: &Outline, text: &mut String) -> std::fmt::Result {
    let left_out = outline.left_out();
    let title = [planned.headline(), left_out].join("\n");
    writeln!(text, "digraph plan {{\n  label={}; labelloc=t;", quoted(title.trim()))?;
    writeln!(text, "  node [shape=box, style=rounded, fontname=monospace, fontsize=10];")?;
    for (place, lane) in outline.lanes.iter().enumerate() {
        let label = format!("{}\n{}", plain(&lane.name), plain(&lane.base));
        writeln!(text, "  subgraph cluster_{place} {{\n    label={}; fontname=monospace;", quoted(&label))?;
        let mut boxes = outline.boxes.iter().enumerate().filter(|(_, at)| at.lane == place).peekable();
        if boxes.peek().is_none() {
            writeln!(text, "    lane{place} [label=\"\", shape=point, style=invis];")?;
        }
        for (number, at) in boxes {
            let racing = outline.races.iter().any(|race| race.boxes.contains(&number));
            let colour = if racing { ", color=red" } else { "" };
            let style = if at.has_caches { "" } else { ", color=grey, fontcolor=grey40" };
            writeln!(text, "    s{number} [label={}{colour}{style}];", quoted(&label_of(planned, at)))?;
        }
        writeln!(text, "  }}")?;
    }
    for (from, to) in &outline.edges {
        writeln!(text, "  s{from} -> s{to};")?;
    }
    for (before, after) in &outline.orders {
        writeln!(text, "  s{before} -> s{after} [color=blue, style=bold, label=order];")?;
    }
    for race in &outline.races {
        let rule = planned.plan.mended[race.place].finding.rule.name;
        for pair in race.boxes.windows(2) {
            let (a, b) = (pair[0], pair[1]);
            writeln!(
                text,
                "  s{a} -> s{b} [color=red, style=dashed, dir=none, constraint=false, label={rule}];"
            )?;
        }
    }
    writeln!(text, "}}")
}

/// The lines in a box: id, what it does, its caches.
pub(super) fn label_of(planned: &Planned<'_>, at: &Box) -> String {
    let graph = planned.graph;
    let Some(first) = at.steps.first() else { return String::new() };
    if !at.has_caches {
        let title = short(&graph.step(*first).title, 32);
        return match at.steps.len() {
            1 => title,
            count => format!("{title}\n… {count} steps"),
        };
    }
    let step = graph.step(*first);
    let mut label = format!("{}\n{}", plain(&step.id), short(&step.title, 40));
    for (mount, _, cache) in step.caches() {
        let at = MountRef { step: *first, mount };
        label.push_str(&format!("\n{}: {}", short(&cache.key.to_string(), 40), plain(&planned.sharing(at))));
    }
    label
}

/// A quoted string of the language: quotes and backslashes escaped, line ends as `\n`.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn strings_end_where_they_should() {
        assert_eq!(super::quoted("a\"b\\\nc"), r#""a\"b\\\nc""#);
    }
}
