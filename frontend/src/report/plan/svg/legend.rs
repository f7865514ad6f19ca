//! What stands around the cards: what the picture is of, what lines and colours mean, and the hazards.

use super::super::outline::{Outline, Part};
use super::super::wording::{Chip, hazard};
use super::canvas::{Anchor, Canvas, Paint, Pen};
use super::draw::{Picture, race_paint};
use super::floor::{Frame, MARGIN};
use super::measure::{cells, fit, fit_end, pixels, room, wrap};
use super::sheet::Kind;
use crate::report::check::counted;

const LINE: usize = 18;
/// The radius of a number in a circle.
pub(super) const BADGE: usize = 8;

/// The headline and the key; the y where they end.
pub(super) fn head(picture: &Picture<'_>, canvas: &mut Canvas, width: usize) -> usize {
    let inner = width - 2 * MARGIN;
    let title = fit_end(&picture.planned.title(), room(inner, 16));
    canvas.text(MARGIN, 36, Pen::TEXT.size(16).bold(), Paint::Ink, &title);
    let summary = fit(&picture.planned.summary(), room(inner, 12));
    canvas.text(MARGIN, 56, Pen::TEXT.size(12), Paint::Dim, &summary);
    let (mut x, mut y) = (MARGIN, 82);
    for entry in entries(picture) {
        let wide = 40 + pixels(cells(entry.what), 11);
        if x > MARGIN && x + wide > width - MARGIN {
            (x, y) = (MARGIN, y + LINE);
        }
        match entry.mark {
            Mark::Line(paint, style) => canvas.path(&format!("M{x} {}h32", y - 4), paint, style),
            Mark::Word(word) => {
                canvas.text(x, y, Pen::TEXT.bold(), Paint::Order, word);
            }
        }
        canvas.text(x + 40, y, Pen::TEXT, Paint::Dim, entry.what);
        x += wide + 24;
    }
    y + 22
}

enum Mark {
    Line(Paint, &'static str),
    Word(&'static str),
}

struct Entry {
    mark: Mark,
    what: &'static str,
}

/// Only what there is in the picture.
fn entries(picture: &Picture<'_>) -> Vec<Entry> {
    let Picture { outline, sheet, .. } = picture;
    let has = |paint: Paint| {
        sheet.wires.iter().any(|wire| match wire.kind {
            Kind::Needs => paint == Paint::Needs,
            Kind::Order => paint == Paint::Order,
            Kind::Race(place) => paint == race_paint(outline.races[place].severity),
        })
    };
    let lines = [
        (Paint::Needs, style::NEEDS, "is needed by"),
        (Paint::Race, style::RACE, "collide"),
        (Paint::Note, style::NOTE, "share what the tool can share"),
        (Paint::Order, style::ORDER, "comes first, by the plan"),
    ];
    let lines = lines.into_iter().filter(|(paint, ..)| has(*paint));
    let lines = lines.map(|(paint, style, what)| Entry { mark: Mark::Line(paint, style), what });
    let chips = || sheet.cards.iter().flat_map(|(_, parts)| parts).flat_map(|part| &part.words.chips);
    let is_reordered = |chip: &Chip<'_>| chip.sharing.contains('↕');
    let is_other = |chip: &Chip<'_>| chip.new_id.is_some() || chip.is_changed && !is_reordered(chip);
    let words = [
        (chips().any(is_other), "a → b", "changed by the plan"),
        (chips().any(is_reordered), "↕", "locked in another order, by the plan"),
    ];
    let words = words.into_iter().filter(|(is_there, ..)| *is_there);
    let words = words.map(|(_, mark, what)| Entry { mark: Mark::Word(mark), what });
    lines.chain(words).collect()
}

/// How the lines look.
pub(super) mod style {
    pub(in super::super) const NEEDS: &str = "marker-end=\"url(#needs)\"";
    pub(in super::super) const ORDER: &str = "stroke-width=\"2\" marker-end=\"url(#order)\"";
    pub(in super::super) const RACE: &str = "stroke-width=\"2\" stroke-dasharray=\"6 4\"";
    pub(in super::super) const NOTE: &str = "stroke-width=\"1.5\" stroke-dasharray=\"2 4\"";
}

/// A line of the foot, and the number before it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    number: Option<usize>,
    paint: Paint,
    text: String,
}

/// The hazards, and what is not drawn.
pub(super) fn foot(picture: &Picture<'_>, width: usize) -> Vec<Line> {
    let Outline { races, left_out, .. } = picture.outline;
    let hazards = races.iter().enumerate();
    let hazards =
        hazards.map(|(number, race)| (Some(number), hazard(&picture.planned.plan.mended[race.place])));
    let left_out = left_out.iter().map(|line| (None, line.clone()));
    let most = room(width - 2 * MARGIN - INDENT, 11);
    let lines = hazards.chain(left_out).flat_map(|(number, text)| {
        let paint = if number.is_some() { Paint::Ink } else { Paint::Dim };
        let lines = wrap(&text, most).into_iter().enumerate();
        lines
            .map(move |(place, text)| Line { number: number.filter(|_| place == 0), paint, text })
            .collect::<Vec<_>>()
    });
    lines.collect()
}

const INDENT: usize = 26;

/// How high they are.
pub(super) fn foot_height(lines: &[Line]) -> usize {
    lines.len() * LINE
}

pub(super) fn draw_foot(picture: &Picture<'_>, canvas: &mut Canvas, lines: &[Line], top: usize) {
    for (place, line) in lines.iter().enumerate() {
        let y = top + (place + 1) * LINE;
        if let Some(number) = line.number {
            let paint = race_paint(picture.outline.races[number].severity);
            badge(canvas, MARGIN + BADGE, y - 4, number, paint);
        }
        canvas.text(MARGIN + INDENT, y, Pen::TEXT, line.paint, &line.text);
    }
}

/// A hazard's number.
pub(super) fn badge(canvas: &mut Canvas, x: usize, y: usize, number: usize, paint: Paint) {
    let frame = Frame { x: x - BADGE, y: y - BADGE, width: 2 * BADGE, height: 2 * BADGE };
    let Frame { x: left, y: top, width, height } = frame;
    let colour = paint.light();
    canvas.put(format_args!(
        "<rect x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" rx=\"{BADGE}\" fill=\"{colour}\"/>"
    ));
    let pen = Pen::TEXT.size(10).bold().anchor(Anchor::Middle);
    canvas.fixed_text(x, y + 4, pen, "#ffffff", &(number + 1).to_string());
}

/// What there is to know without seeing it.
pub(super) fn description(picture: &Picture<'_>) -> String {
    let Picture { planned, outline, .. } = picture;
    let steps = outline.cards.iter().flat_map(|card| &card.parts);
    let steps = steps.filter(|part| matches!(part, Part::Cached(_))).count();
    let hazards = outline.races.iter().enumerate().map(|(number, race)| {
        let mended = &planned.plan.mended[race.place];
        format!("{}: {}", number + 1, hazard(mended))
    });
    let lines: Vec<_> = hazards.chain(outline.left_out.iter().cloned()).collect();
    let what = format!(
        "{}, each below those that it needs; steps with caches in them: {steps}",
        counted(outline.cards.len(), "card"),
    );
    [vec![planned.summary(), what], lines].concat().join("\n")
}
