//! Cards, steps, chips and lines.

use std::collections::BTreeMap;

use super::super::Planned;
use super::super::outline::{At, Outline, Part};
use super::super::wording::Chip;
use super::canvas::{Anchor, Canvas, Paint, Pen, chip_colour, escaped};
use super::floor::{Frame, MARGIN};
use super::legend::{self, BADGE, style};
use super::measure::{cells, fit, fit_end, room};
use super::sheet::{CHIP, Kind, PADDING, Placed, STEP_GAP, Sheet, Wire, row};
use crate::graph::CacheKey;
use crate::hazard::Severity;
use crate::report::check::counted;

/// No picture is narrower.
const NARROWEST: usize = 680;
/// Text on chips, whose colours are light ones always.
const CHIP_INK: &str = "#1f2328";
const CHIP_CHANGED: &str = "#0550ae";
/// How many hazards' numbers a chip has.
const MOST_BADGES: usize = 3;

/// What is drawn, and where.
pub(super) struct Picture<'p> {
    pub(super) planned: &'p Planned<'p>,
    pub(super) outline: &'p Outline,
    pub(super) sheet: &'p Sheet<'p>,
    /// What the caches' colours go by.
    pub(super) numbers: BTreeMap<&'p CacheKey, usize>,
}

pub(super) fn race_paint(severity: Severity) -> Paint {
    match severity {
        Severity::Note => Paint::Note,
        Severity::Warning | Severity::Error => Paint::Race,
    }
}

impl Picture<'_> {
    pub(super) fn draw(&self) -> String {
        let width = self.sheet.width.max(NARROWEST);
        let lines = legend::foot(self, width);
        // How high the head is shows when it is drawn.
        let mut head = Canvas::default();
        let top = legend::head(self, &mut head, width);
        let foot = top + self.sheet.height + 12;
        let height = foot + legend::foot_height(&lines) + MARGIN;

        let mut canvas = Canvas::default();
        let title = format!("{}: {}", self.planned.title(), self.planned.summary());
        canvas.open(width, height, &title, &legend::description(self));
        let sheet = Frame { x: 0, y: 0, width, height };
        canvas.rect(sheet, 10, Paint::Sheet, Paint::Sheet, "0");
        canvas.put(format_args!("{}", head.into_text().trim_end()));
        let left = (width - self.sheet.width) / 2;
        canvas.put(format_args!("<g transform=\"translate({left} {top})\">"));
        for (place, (frame, parts)) in self.sheet.cards.iter().enumerate() {
            self.card(&mut canvas, place, *frame, parts);
        }
        let wires = |is: fn(Kind) -> bool| self.sheet.wires.iter().filter(move |wire| is(wire.kind));
        for wire in wires(|kind| kind == Kind::Needs) {
            canvas.path(&rounded(&wire.corners), Paint::Needs, style::NEEDS);
        }
        for wire in wires(|kind| kind == Kind::Order) {
            canvas.path(&rounded(&wire.corners), Paint::Order, style::ORDER);
        }
        self.races(&mut canvas);
        for (card, (_, parts)) in self.sheet.cards.iter().enumerate() {
            for (part, placed) in parts.iter().enumerate() {
                self.part(&mut canvas, At { card, part }, placed);
            }
        }
        canvas.put(format_args!("</g>"));
        legend::draw_foot(self, &mut canvas, &lines, foot);
        canvas.close()
    }

    fn card(&self, canvas: &mut Canvas, place: usize, frame: Frame, parts: &[Placed<'_>]) {
        let card = &self.outline.cards[place];
        let is_ours = card.parts == [Part::Primer];
        let (fill, stroke) = match (is_ours, parts.is_empty()) {
            (true, _) => (Paint::Card, Paint::Order),
            (false, true) => (Paint::Sheet, Paint::Rim),
            (false, false) => (Paint::Card, Paint::Rim),
        };
        canvas.rect(frame, 8, fill, stroke, if is_ours { "2" } else { "1" });
        let count = card.plain().map_or(String::new(), |count| counted(count, "step"));
        let inner = frame.width - 2 * PADDING;
        let taken = if count.is_empty() { 0 } else { cells(&count) + 2 };
        let name = fit(&card.name, room(inner, 13) - taken);
        canvas.text(frame.x + PADDING, frame.y + 20, Pen::TEXT.size(13).bold(), Paint::Ink, &name);
        let base = fit(&card.base, room(inner, 11));
        canvas.text(frame.x + PADDING, frame.y + 36, Pen::TEXT, Paint::Dim, &base);
        let pen = Pen::TEXT.anchor(Anchor::End);
        canvas.text(frame.right() - PADDING, frame.y + 20, pen, Paint::Dim, &count);
        // From each step to the next.
        for pair in parts.windows(2) {
            let (x, y) = (pair[0].frame.x + 14, pair[0].frame.bottom());
            canvas.path(&format!("M{x} {y}v{STEP_GAP}"), Paint::Needs, style::NEEDS);
        }
    }

    fn part(&self, canvas: &mut Canvas, at: At, placed: &Placed<'_>) {
        let Placed { part, frame, words } = placed;
        let (x, y) = (frame.x + PADDING, frame.y);
        let most = room(frame.width - 2 * PADDING, 11);
        // What does not fit is told where a pointer rests.
        canvas.put(format_args!("<g><title>{}</title>", escaped(&fit(&words.title, 400))));
        if matches!(part, Part::Folded { .. }) {
            canvas.rect(*frame, 5, Paint::Step, Paint::Rim, "1");
            canvas.text(x, y + 17, Pen::TEXT, Paint::Dim, &fit(&words.title, most));
        } else {
            let (stroke, pen) = match self.outline.worst(at) {
                None => (Paint::Needs, "1"),
                Some(severity) => (race_paint(severity), "2"),
            };
            canvas.rect(*frame, 5, Paint::Step, stroke, pen);
            let line = words.line.map_or(String::new(), |line| format!("line {line}"));
            let mut title = y + 34;
            if let Some(id) = words.id {
                let id = fit(id, most - cells(&line) - 2);
                canvas.text(x, y + 17, Pen::TEXT.bold(), Paint::Ink, &id);
                let right = frame.right() - PADDING;
                canvas.text(right, y + 17, Pen::TEXT.anchor(Anchor::End), Paint::Dim, &line);
            } else {
                title = y + 25;
            }
            canvas.text(x, title, Pen::TEXT, Paint::Ink, &fit(&words.title, most));
            self.chips(canvas, at, placed);
        }
        canvas.put(format_args!("</g>"));
    }

    fn chips(&self, canvas: &mut Canvas, at: At, placed: &Placed<'_>) {
        let Placed { words, .. } = placed;
        let frames = placed.chips();
        for (place, (cache, whole)) in words.chips.iter().zip(&frames).enumerate() {
            let races = self.outline.races.iter().enumerate().filter(|(_, race)| {
                let mut members = race.members.iter();
                members.any(|member| member.at == at && row(words, member.mount) == place)
            });
            let races: Vec<_> = races.take(MOST_BADGES).collect();
            let shift = races.len() * (2 * BADGE + 2);
            for (slot, (number, race)) in races.into_iter().enumerate() {
                let middle = whole.x + BADGE + slot * (2 * BADGE + 2);
                legend::badge(canvas, middle, whole.y + CHIP / 2, number, race_paint(race.severity));
            }
            self.chip(canvas, Frame { x: whole.x + shift, width: whole.width - shift, ..*whole }, cache);
        }
        if words.more > 0
            && let Some(Frame { x, y, .. }) = frames.last()
        {
            let more = format!("… and {}", counted(words.more, "more cache"));
            canvas.text(x + 10, y + 14, Pen::TEXT, Paint::Dim, &more);
        }
    }

    fn chip(&self, canvas: &mut Canvas, frame: Frame, cache: &Chip<'_>) {
        let Frame { x, y, width, height } = frame;
        let number = self.numbers.get(cache.key).copied().unwrap_or_default();
        let colour = chip_colour(number);
        canvas.put(format_args!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"10\" fill=\"{colour}\"/>"
        ));
        // Between the two there is room for one more.
        let most = room(width - 20, 11) - 1;
        let sharing = fit(&cache.sharing, most);
        let id = fit_end(&cache.key.to_string(), most - cells(&sharing));
        canvas.fixed_text(x + 10, y + 14, Pen::TEXT, CHIP_INK, &id);
        let end = Pen::TEXT.anchor(Anchor::End);
        let (pen, ink) = if cache.is_changed { (end.bold(), CHIP_CHANGED) } else { (end, CHIP_INK) };
        canvas.fixed_text(x + width - 10, y + 14, pen, ink, &sharing);
        if let Some(id) = &cache.new_id {
            let id = fit_end(id, most - 2);
            canvas.fixed_text(x + 10, y + 30, Pen::TEXT.bold(), CHIP_CHANGED, &format!("→ {id}"));
        }
    }

    /// Each hazard is one path, so that its dashes do not fill each other's gaps.
    fn races(&self, canvas: &mut Canvas) {
        let mut segments: BTreeMap<usize, Vec<_>> = BTreeMap::new();
        for Wire { kind, corners } in &self.sheet.wires {
            if let Kind::Race(place) = kind {
                segments.entry(*place).or_default().extend(corners.windows(2).map(|pair| (pair[0], pair[1])));
            }
        }
        for (place, segments) in segments {
            let paint = race_paint(self.outline.races[place].severity);
            let style = if paint == Paint::Note { style::NOTE } else { style::RACE };
            canvas.path(&merged(segments), paint, style);
        }
    }
}

/// A path through the corners, which are made round.
fn rounded(corners: &[(usize, usize)]) -> String {
    const RADIUS: usize = 6;
    let Some((first, rest)) = corners.split_first() else { return String::new() };
    let mut path = format!("M{} {}", first.0, first.1);
    let toward = |from: (usize, usize), to: (usize, usize)| {
        let length = from.0.abs_diff(to.0) + from.1.abs_diff(to.1);
        let step = RADIUS.min(length / 2);
        let go = |from: usize, to: usize| {
            if to > from {
                from + step
            } else if to < from {
                from - step
            } else {
                from
            }
        };
        (go(from.0, to.0), go(from.1, to.1))
    };
    let mut before = *first;
    for (place, corner) in rest.iter().enumerate() {
        if let Some(next) = rest.get(place + 1) {
            let (a, b) = (toward(*corner, before), toward(*corner, *next));
            path.push_str(&format!("L{} {}Q{} {} {} {}", a.0, a.1, corner.0, corner.1, b.0, b.1));
        } else {
            path.push_str(&format!("L{} {}", corner.0, corner.1));
        }
        before = *corner;
    }
    path
}

type Point = (usize, usize);

/// A path of straight parts, those that lie on each other joined.
fn merged(segments: Vec<(Point, Point)>) -> String {
    let mut lines: BTreeMap<(bool, usize), Vec<(usize, usize)>> = BTreeMap::new();
    for ((ax, ay), (bx, by)) in segments {
        let (line, a, b) = if ay == by { ((true, ay), ax, bx) } else { ((false, ax), ay, by) };
        lines.entry(line).or_default().push((a.min(b), a.max(b)));
    }
    let mut path = String::new();
    for ((is_along, place), mut extents) in lines {
        extents.sort_unstable();
        let mut joined: Vec<(usize, usize)> = Vec::new();
        for (from, to) in extents {
            match joined.last_mut() {
                Some((_, end)) if from <= *end => *end = to.max(*end),
                _ => joined.push((from, to)),
            }
        }
        for (from, to) in joined {
            path.push_str(&match is_along {
                true => format!("M{from} {place}H{to}"),
                false => format!("M{place} {from}V{to}"),
            });
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners_are_round() {
        assert_eq!(rounded(&[(0, 0), (0, 20), (30, 20)]), "M0 0L0 14Q0 20 6 20L30 20");
        assert_eq!(rounded(&[]), "");
    }

    #[test]
    fn lines_on_each_other_are_one() {
        let segments = vec![((0, 5), (10, 5)), ((20, 5), (8, 5)), ((3, 0), (3, 5))];
        assert_eq!(merged(segments), "M3 0V5M0 5H20");
    }
}
