//! For Mermaid, which Markdown of code hosts shows.

use std::fmt::Write as _;

use super::Planned;
use super::dot::label_of;
use super::outline::Outline;

/// A flowchart: a subgraph a stage, dotted links between steps that race, thick ones where the plan has one wait.
#[must_use]
pub fn mermaid(planned: &Planned<'_>) -> String {
    let outline = Outline::of(planned);
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(planned, &outline, &mut text);
    text
}

fn write(planned: &Planned<'_>, outline: &Outline, text: &mut String) -> std::fmt::Result {
    writeln!(text, "flowchart TB")?;
    for (place, lane) in outline.lanes.iter().enumerate() {
        writeln!(text, "  subgraph lane{place}[\"{}\"]", escaped(&format!("{}\n{}", lane.name, lane.base)))?;
        for (number, at) in outline.boxes.iter().enumerate().filter(|(_, at)| at.lane == place) {
            let class = match (at.has_caches, outline.races.iter().any(|race| race.boxes.contains(&number))) {
                (_, true) => ":::race",
                (true, false) => "",
                (false, false) => ":::plain",
            };
            writeln!(text, "    s{number}[\"{}\"]{class}", escaped(&label_of(planned, at)))?;
        }
        writeln!(text, "  end")?;
    }
    for (from, to) in &outline.edges {
        writeln!(text, "  s{from} --> s{to}")?;
    }
    for (before, after) in &outline.orders {
        writeln!(text, "  s{before} ==>|order| s{after}")?;
    }
    for race in &outline.races {
        let rule = planned.plan.mended[race.place].finding.rule.name;
        for pair in race.boxes.windows(2) {
            writeln!(text, "  s{} -.-|{rule}| s{}", pair[0], pair[1])?;
        }
    }
    let left_out = outline.left_out();
    if !left_out.is_empty() {
        writeln!(text, "  more[\"{}\"]:::plain", escaped(&left_out))?;
    }
    writeln!(text, "  classDef race stroke:#d1242f,stroke-width:2px")?;
    writeln!(text, "  classDef plain stroke:#afb8c1,color:#57606a")
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
