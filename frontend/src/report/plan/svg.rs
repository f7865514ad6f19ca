//! A picture: a lane a stage, a box a step, a chip a cache in its own colour. Red is what races, blue what the plan adds.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Planned;
use super::outline::{Box, Outline, Race};
use crate::graph::{CacheKey, MountRef};
use crate::hazard::Severity;
use crate::plan::Strategy;
use crate::report::escape::{plain, short};

const LANE: usize = 290;
/// A lane whose steps have no caches.
const NARROW: usize = 170;
const GAP: usize = 44;
const MARGIN: usize = 24;
const TOP: usize = 132;
const CHIP: usize = 20;
const ROW_GAP: usize = 34;
const LINE: usize = 20;
/// A character of the text is that wide, in tenths of a pixel.
const CHARACTER: usize = 66;

/// Colours that black text can be read on, and that look different to most people.
const COLOURS: [&str; 10] = [
    "#a5d8ff", "#ffec99", "#b2f2bb", "#eebefa", "#ffd8a8", "#99e9f2", "#d0bfff", "#fcc2d7", "#d8f5a2",
    "#ced4da",
];
const RED: &str = "#d1242f";
const AMBER: &str = "#9a6700";
const BLUE: &str = "#0969da";
const GREY: &str = "#8c959f";

/// A picture without scripts or anything from elsewhere.
#[must_use]
pub fn svg(planned: &Planned<'_>) -> String {
    let outline = Outline::of(planned);
    let picture = Picture::of(planned, &outline);
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = picture.write(&mut text);
    text
}

/// A box's place on the sheet.
#[derive(Debug, Clone, Copy)]
struct Frame {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

impl Frame {
    fn middle(self) -> usize {
        self.x + self.width / 2
    }

    fn right(self) -> usize {
        self.x + self.width
    }

    fn bottom(self) -> usize {
        self.y + self.height
    }
}

struct Picture<'p> {
    planned: &'p Planned<'p>,
    outline: &'p Outline,
    frames: Vec<Frame>,
    /// What the caches' colours go by.
    numbers: BTreeMap<&'p CacheKey, usize>,
    /// Where the lanes begin, and how wide they are.
    lanes: Vec<(usize, usize)>,
    /// Where the lanes end.
    bottom: usize,
}

impl<'p> Picture<'p> {
    fn of(planned: &'p Planned<'p>, outline: &'p Outline) -> Self {
        let caches = |at: &Box| {
            let step = at.steps.first().map(|step| planned.graph.step(*step));
            step.map_or(0, |step| step.caches().count())
        };
        let height = |at: &Box| if at.has_caches { 46 + caches(at) * (CHIP + 4) + 6 } else { 28 };
        let rows = outline.boxes.iter().map(|at| at.level + 1).max().unwrap_or(0);
        let mut heights = vec![0; rows];
        for at in &outline.boxes {
            heights[at.level] = heights[at.level].max(height(at));
        }
        let mut tops = Vec::with_capacity(rows);
        let mut y = TOP;
        for height in heights {
            tops.push(y);
            y += height + ROW_GAP;
        }
        let mut lanes = Vec::with_capacity(outline.lanes.len());
        let mut x = MARGIN;
        for lane in 0..outline.lanes.len() {
            let has_caches = outline.boxes.iter().any(|at| at.lane == lane && at.has_caches);
            let width = if has_caches { LANE } else { NARROW };
            lanes.push((x, width));
            x += width + GAP;
        }
        let frame = |at: &Box| {
            let (x, width) = lanes[at.lane];
            Frame { x, y: tops[at.level], width, height: height(at) }
        };
        let frames = outline.boxes.iter().map(frame).collect();
        Self {
            planned,
            outline,
            frames,
            numbers: planned.cache_numbers(),
            lanes,
            bottom: y.max(TOP + ROW_GAP),
        }
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let right = self.lanes.last().map_or(0, |(x, width)| x + width);
        let legend = self.legend();
        let longest = legend.iter().map(|(_, line)| line.chars().count()).max().unwrap_or_default();
        let headline = short(&self.planned.headline(), 160);
        let width = (right + MARGIN)
            .max(2 * MARGIN + 30 + longest * CHARACTER / 10 + 8)
            .max(2 * MARGIN + headline.chars().count() * 9)
            .max(560);
        let height = self.bottom + 16 + legend.len() * LINE + MARGIN;
        writeln!(
            text,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
             font-family=\"'DejaVu Sans Mono','Liberation Mono',Menlo,Consolas,monospace\" font-size=\"11\" fill=\"#1f2328\">"
        )?;
        writeln!(text, "<title>{}</title>", escaped(&headline))?;
        writeln!(text, "<defs>")?;
        for (name, colour) in [("needs", GREY), ("order", BLUE)] {
            writeln!(
                text,
                "<marker id=\"{name}\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" \
                 markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"{colour}\"/></marker>"
            )?;
        }
        writeln!(text, "</defs>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>")?;
        writeln!(
            text,
            "<text x=\"{MARGIN}\" y=\"34\" font-size=\"15\" font-weight=\"bold\">{}</text>",
            escaped(&headline)
        )?;
        self.key(text)?;
        self.lanes(text)?;
        for (from, to) in &self.outline.edges {
            self.edge(text, *from, *to)?;
        }
        for (place, at) in self.outline.boxes.iter().enumerate() {
            self.step(text, place, at)?;
        }
        for (before, after) in &self.outline.orders {
            self.order(text, *before, *after)?;
        }
        for (number, race) in self.outline.races.iter().enumerate() {
            self.race(text, number, race)?;
        }
        let mut y = self.bottom + 16;
        for (badge, line) in legend {
            if let Some((number, severity)) = badge {
                self.badge(text, MARGIN + 9, y - 4, number, severity)?;
            }
            writeln!(text, "<text x=\"{}\" y=\"{y}\">{}</text>", MARGIN + 26, escaped(&line))?;
            y += LINE;
        }
        writeln!(text, "</svg>")
    }

    /// What lines and colours mean.
    fn key(&self, text: &mut String) -> std::fmt::Result {
        let mut x = MARGIN;
        let mut entry = |text: &mut String, style: &str, what: &str| {
            let from = x;
            x += 44 + what.len() * CHARACTER / 10 + 24;
            writeln!(
                text,
                "<path d=\"M{from} 56h36\" {style}/><text x=\"{}\" y=\"60\" fill=\"#57606a\">{what}</text>",
                from + 44
            )
        };
        entry(text, &format!("stroke=\"{GREY}\" marker-end=\"url(#needs)\""), "is needed by")?;
        entry(text, &format!("stroke=\"{RED}\" stroke-width=\"2\" stroke-dasharray=\"5 4\""), "collide")?;
        entry(
            text,
            &format!("stroke=\"{BLUE}\" stroke-width=\"2\" marker-end=\"url(#order)\""),
            "runs before, by the plan",
        )?;
        writeln!(text, "<text x=\"{x}\" y=\"60\" fill=\"#57606a\">↕ locks in another order</text>")
    }

    fn lanes(&self, text: &mut String) -> std::fmt::Result {
        for (place, lane) in self.outline.lanes.iter().enumerate() {
            let (x, width) = self.lanes[place];
            writeln!(
                text,
                "<rect x=\"{}\" y=\"76\" width=\"{}\" height=\"{}\" rx=\"8\" fill=\"#f6f8fa\" stroke=\"#d0d7de\"/>",
                x - 10,
                width + 20,
                self.bottom - 76 - 12
            )?;
            writeln!(
                text,
                "<text x=\"{x}\" y=\"98\" font-size=\"13\" font-weight=\"bold\">{}</text>\
                 <text x=\"{x}\" y=\"116\" fill=\"#57606a\">{}</text>",
                escaped(&short(&lane.name, width / 8)),
                escaped(&short(&lane.base, width * 10 / CHARACTER))
            )?;
        }
        Ok(())
    }

    fn step(&self, text: &mut String, place: usize, at: &Box) -> std::fmt::Result {
        let Frame { x, y, width, height } = self.frames[place];
        let Some(index) = at.steps.first().copied() else { return Ok(()) };
        let step = self.planned.graph.step(index);
        if !at.has_caches {
            let title = match at.steps.len() {
                1 => short(&step.title, (width - 20) * 10 / CHARACTER),
                count if width < LANE => format!("{} … {count} steps", short(&step.title, 9)),
                count => format!("{} … {count} steps", short(&step.title, 28)),
            };
            return writeln!(
                text,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"5\" fill=\"#ffffff\" stroke=\"#d0d7de\"/>\
                 <text x=\"{}\" y=\"{}\" fill=\"#57606a\">{}</text>",
                x + 10,
                y + 18,
                escaped(&title)
            );
        }
        let worst = self.outline.races.iter().filter(|race| race.boxes.contains(&place));
        let (stroke, pen) = match worst.map(|race| race.severity).max() {
            None => ("#57606a", "1"),
            Some(severity) => (colour(severity), "2"),
        };
        let line = step.location.as_ref().map_or(String::new(), |location| format!("line {}", location.line));
        writeln!(
            text,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"5\" fill=\"#ffffff\" stroke=\"{stroke}\" \
             stroke-width=\"{pen}\"/>\
             <text x=\"{}\" y=\"{}\" font-weight=\"bold\">{}</text>\
             <text x=\"{}\" y=\"{}\" fill=\"#57606a\" text-anchor=\"end\">{line}</text>\
             <text x=\"{}\" y=\"{}\">{}</text>",
            x + 10,
            y + 17,
            escaped(&short(&step.id, 30)),
            x + LANE - 10,
            y + 17,
            x + 10,
            y + 34,
            escaped(&short(&step.title, 40))
        )?;
        for (row, (mount, _, cache)) in step.caches().enumerate() {
            let (x, y) = (x + 8, y + 44 + row * (CHIP + 4));
            let fill = COLOURS[self.numbers.get(&cache.key).copied().unwrap_or_default() % COLOURS.len()];
            let sharing = self.planned.sharing(MountRef { step: index, mount });
            let sharing = short(&sharing, 26);
            let id = short_end(&cache.key.to_string(), 40 - sharing.chars().count().min(30));
            writeln!(
                text,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{CHIP}\" rx=\"10\" fill=\"{fill}\"/>\
                 <text x=\"{}\" y=\"{}\">{}</text>\
                 <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
                LANE - 16,
                x + 10,
                y + 14,
                escaped(&id),
                x + LANE - 26,
                y + 14,
                escaped(&sharing)
            )?;
        }
        Ok(())
    }

    fn edge(&self, text: &mut String, from: usize, to: usize) -> std::fmt::Result {
        let (a, b) = (self.frames[from], self.frames[to]);
        let (x, y, to_x, to_y) = (a.middle(), a.bottom(), b.middle(), b.y);
        let bend = (to_y.saturating_sub(y) / 2).clamp(12, 60);
        writeln!(
            text,
            "<path d=\"M{x} {y}C{x} {} {to_x} {} {to_x} {to_y}\" fill=\"none\" stroke=\"{GREY}\" marker-end=\"url(#needs)\"/>",
            y + bend,
            to_y - bend
        )
    }

    fn order(&self, text: &mut String, before: usize, after: usize) -> std::fmt::Result {
        let (a, b) = (self.frames[before], self.frames[after]);
        let (y, to_y) = (a.y + 12, b.y + 12);
        let (x, to_x) = match a.x.cmp(&b.x) {
            Ordering::Less => (a.right(), b.x),
            Ordering::Equal => (a.x, b.x),
            Ordering::Greater => (a.x, b.right()),
        };
        let bend = if x == to_x { x - 18 } else { x.midpoint(to_x) };
        writeln!(
            text,
            "<path d=\"M{x} {y}C{bend} {y} {bend} {to_y} {to_x} {to_y}\" fill=\"none\" stroke=\"{BLUE}\" stroke-width=\"2\" \
             marker-end=\"url(#order)\"/>"
        )
    }

    /// A dashed line from each box to the next, and a number that the legend has.
    fn race(&self, text: &mut String, number: usize, race: &Race) -> std::fmt::Result {
        let colour = colour(race.severity);
        let mut boxes = race.boxes.clone();
        boxes.sort_by_key(|place| (self.frames[*place].x, self.frames[*place].y));
        let y_of = |place: usize| self.chip(place, race) + self.doubles(number) * 18;
        if let [only] = *boxes {
            let x = self.frames[only].right();
            return self.badge(text, x, y_of(only), number, race.severity);
        }
        let style = format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"5 4\"");
        for pair in boxes.windows(2) {
            let (a, b) = (self.frames[pair[0]], self.frames[pair[1]]);
            let (x, y, to_x, to_y) = (a.right(), y_of(pair[0]), b.x, y_of(pair[1]));
            if a.x == b.x {
                let out = x + GAP / 2;
                writeln!(text, "<path d=\"M{x} {y}C{out} {y} {out} {to_y} {x} {to_y}\" {style}/>")?;
                self.badge(text, out - 6, y.midpoint(to_y), number, race.severity)?;
            } else if to_x - x <= GAP {
                writeln!(text, "<path d=\"M{x} {y}L{to_x} {to_y}\" {style}/>")?;
                self.badge(text, x.midpoint(to_x), y.midpoint(to_y), number, race.severity)?;
            } else {
                // Above the row, so that it does not run through the boxes between.
                let over = a.y.min(b.y) - 8 - number % 3 * 6;
                let (out, back) = (x + GAP / 2, to_x - GAP / 2);
                writeln!(text, "<path d=\"M{x} {y}H{out}V{over}H{back}V{to_y}H{to_x}\" {style}/>")?;
                self.badge(text, out, y, number, race.severity)?;
            }
        }
        Ok(())
    }

    /// The middle of the chip that a race is about.
    fn chip(&self, place: usize, race: &Race) -> usize {
        let finding = &self.planned.plan.mended[race.place].finding;
        let steps = &self.outline.boxes[place].steps;
        let mount = finding.mounts().find(|at| steps.contains(&at.step));
        let row = mount.and_then(|at| {
            let mut caches = self.planned.graph.step(at.step).caches();
            caches.position(|(mount, ..)| mount == at.mount)
        });
        self.frames[place].y + 44 + row.unwrap_or_default() * (CHIP + 4) + CHIP / 2
    }

    /// How many hazards before it are about the same steps and caches: their badges lie one below the other.
    fn doubles(&self, number: usize) -> usize {
        let caches = |race: &Race| &self.planned.plan.mended[race.place].finding.caches;
        let races = &self.outline.races;
        let same = |race: &&Race| race.boxes == races[number].boxes && caches(race) == caches(&races[number]);
        races[..number].iter().filter(same).count()
    }

    fn badge(
        &self,
        text: &mut String,
        x: usize,
        y: usize,
        number: usize,
        severity: Severity,
    ) -> std::fmt::Result {
        writeln!(
            text,
            "<circle cx=\"{x}\" cy=\"{y}\" r=\"9\" fill=\"{}\"/>\
             <text x=\"{x}\" y=\"{}\" font-size=\"10\" font-weight=\"bold\" fill=\"#ffffff\" text-anchor=\"middle\">{}</text>",
            colour(severity),
            y + 4,
            number + 1
        )
    }

    /// The hazards, and what was left out.
    fn legend(&self) -> Vec<(Option<(usize, Severity)>, String)> {
        let mut lines = Vec::new();
        for (number, race) in self.outline.races.iter().enumerate() {
            let mended = &self.planned.plan.mended[race.place];
            let finding = &mended.finding;
            let done = match mended.strategy {
                Strategy::None => "nothing changes".to_owned(),
                strategy => format!("mended by {strategy}"),
            };
            let line = format!("{}: {}; {done}", finding.rule.name, plain(&finding.message));
            lines.push((Some((number, race.severity)), short(&line, 170)));
        }
        let left_out = self.outline.left_out();
        if !left_out.is_empty() {
            lines.push((None, left_out));
        }
        lines
    }
}

fn colour(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => AMBER,
        Severity::Warning | Severity::Error => RED,
    }
}

/// Paths differ at their ends.
fn short_end(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most {
        return text.to_owned();
    }
    let end: String = text.chars().skip(count + 1 - most.max(1)).collect();
    format!("…{end}")
}

/// Text in XML, which cannot hold every character.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_the_text() {
        assert_eq!(escaped("<a b='\"&\u{1b}\u{ffff}>"), "&lt;a b=&#39;&quot;&amp;\u{fffd}\u{fffd}&gt;");
        assert_eq!(short_end("/root/.cache/pip", 7), "…he/pip");
        assert_eq!(short_end("/x", 7), "/x");
    }
}
