//! For Mermaid, which Markdown of code hosts shows.

use std::fmt::Write as _;

use super::Planned;
use super::dot::{last, node};
use super::grid::Grid;
use super::outline::{At, Card, Outline, Part};
use super::wording::{Words, legend};
use crate::hazard::Severity;
use crate::report::check::counted;
use crate::report::escape::short;

/// A flowchart: a subgraph a stage, dotted links between steps that collide, thick ones where the plan has one wait.
#[must_use]
pub fn mermaid(planned: &Planned<'_>) -> String {
    let outline = Outline::of(planned);
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(planned, &outline, &mut text);
    text
}

/// Room for titles above the first box, and for long lines.
const LAYOUT: &str = "%%{init: {\"flowchart\": {\"wrappingWidth\": 420, \"subGraphTitleMargin\": {\"top\": 4, \"bottom\": 12}}}}%%";

fn write(planned: &Planned<'_>, outline: &Outline, text: &mut String) -> std::fmt::Result {
    writeln!(text, "{LAYOUT}\nflowchart TB")?;
    for (place, card) in outline.cards.iter().enumerate() {
        write_card(planned, outline, (place, card), text)?;
    }
    let mut links = Links::default();
    for (place, card) in outline.cards.iter().enumerate().filter(|(_, card)| card.plain().is_none()) {
        for part in 1..card.parts.len() {
            let (before, after) = (At { card: place, part: part - 1 }, At { card: place, part });
            links.add(text, "plain", &format!("{} --> {}", node(before), node(after)))?;
        }
    }
    for (from, to) in &outline.needs {
        links.add(text, "plain", &format!("{} --> {}", last(outline, *from), node(*to)))?;
    }
    for (above, below) in Grid::of(outline).breaks() {
        let below = node(At { card: below, part: 0 });
        links.add(text, "plain", &format!("{} ~~~ {below}", last(outline, above)))?;
    }
    for (before, after) in &outline.orders {
        links.add(text, "order", &format!("{} ==> {}", node(*before), node(*after)))?;
    }
    // Every link pulls boxes together, so what need not be mended has none.
    let races = outline.races.iter().enumerate().filter(|(_, race)| race.severity > Severity::Note);
    for (_, race) in races.filter(|(number, _)| !outline.is_drawn_with_another(*number)) {
        for pair in race.parts().windows(2) {
            links.add(text, "race", &format!("{} -.- {}", node(pair[0].at), node(pair[1].at)))?;
        }
    }
    let lines = legend(planned, outline);
    if !lines.is_empty() {
        writeln!(text, "  legend[\"{}\"]:::legend", escaped(&lines.join("\n")))?;
    }
    links.styles(text)?;
    writeln!(text, "  classDef race stroke:#d1242f,stroke-width:2px")?;
    writeln!(text, "  classDef note stroke:#9a6700,stroke-width:2px")?;
    writeln!(text, "  classDef ours stroke:#0969da,stroke-width:2px")?;
    writeln!(text, "  classDef plain stroke:#8c959f,stroke-dasharray:3 3")?;
    writeln!(text, "  classDef legend stroke:none,text-align:left")
}

fn write_card(
    planned: &Planned<'_>,
    outline: &Outline,
    (place, card): (usize, &Card),
    text: &mut String,
) -> std::fmt::Result {
    let (name, base) = (short(&card.name, 60), short(&card.base, 60));
    if let Some(count) = card.plain() {
        let label = escaped(&format!("{name}\n{base}\n{}", counted(count, "step")));
        return writeln!(text, "  {}[\"{label}\"]:::plain", node(At { card: place, part: 0 }));
    }
    writeln!(text, "  subgraph card{place}[\"{}\"]", escaped(&format!("{name} · {base}")))?;
    for (part, what) in card.parts.iter().enumerate() {
        let at = At { card: place, part };
        let class = match (what, outline.worst(at)) {
            (Part::Folded { .. }, _) => ":::plain",
            (Part::Primer, _) => ":::ours",
            (Part::Cached(_), None) => "",
            (Part::Cached(_), Some(Severity::Note)) => ":::note",
            (Part::Cached(_), Some(_)) => ":::race",
        };
        let label = escaped(&Words::of(planned, *what).lines(outline).join("\n"));
        writeln!(text, "    {}[\"{label}\"]{class}", node(at))?;
    }
    writeln!(text, "  end")
}

/// Links have no classes; they are styled by their numbers.
#[derive(Debug, Default)]
struct Links {
    count: usize,
    race: Vec<String>,
    order: Vec<String>,
}

impl Links {
    fn add(&mut self, text: &mut String, class: &str, link: &str) -> std::fmt::Result {
        let number = self.count.to_string();
        match class {
            "race" => self.race.push(number),
            "order" => self.order.push(number),
            _ => {}
        }
        self.count += 1;
        writeln!(text, "  {link}")
    }

    fn styles(&self, text: &mut String) -> std::fmt::Result {
        for (links, colour) in [(&self.race, "#d1242f"), (&self.order, "#0969da")] {
            if !links.is_empty() {
                writeln!(text, "  linkStyle {} stroke:{colour},stroke-width:2px", links.join(","))?;
            }
        }
        Ok(())
    }
}

/// Text in quotes: everything that means something there or in HTML as a character's number.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.trim().chars() {
        match c {
            '\n' => escaped.push_str("<br/>"),
            '"' | '#' | '&' | '<' | '>' | '`' | ';' | '\\' | '*' | '_' | '~' => {
                escaped.push_str(&format!("#{};", u32::from(c)));
            }
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_ends_a_label() {
        assert_eq!(super::escaped("a\"]<b>\n#1"), "a#34;]#60;b#62;<br/>#35;1");
    }
}
