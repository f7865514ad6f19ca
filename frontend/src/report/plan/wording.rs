//! Words that several forms share.

use super::Planned;
use super::outline::{Outline, Part};
use crate::graph::{CacheKey, MountRef, Stage};
use crate::hazard::Severity;
use crate::plan::{Mended, Strategy};
use crate::report::check::counted;
use crate::report::escape::{plain, short};

/// How many stages are named that are not drawn.
const MOST_NAMES: usize = 12;
/// How many caches of a step are shown.
const MOST_CHIPS: usize = 6;

/// A cache of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chip<'p> {
    pub(super) mount: MountRef,
    pub(super) key: &'p CacheKey,
    /// What becomes of it: `shared → locked`.
    pub(super) sharing: String,
    pub(super) is_changed: bool,
    pub(super) new_id: Option<String>,
}

/// What stands in a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Words<'p> {
    /// The step's id; none for steps that are folded.
    pub(super) id: Option<&'p str>,
    pub(super) line: Option<u32>,
    /// What it does, on one line, however long.
    pub(super) title: String,
    pub(super) chips: Vec<Chip<'p>>,
    /// How many caches there are no chips for.
    pub(super) more: usize,
}

impl<'p> Words<'p> {
    pub(super) fn of(planned: &Planned<'p>, part: Part) -> Self {
        let mut words = Self { id: None, line: None, title: String::new(), chips: Vec::new(), more: 0 };
        let graph = planned.graph;
        let key = |at: MountRef| Some(&graph.mount(at).cache.as_ref()?.key);
        match part {
            Part::Folded { first, count: 1 } => words.title = plain(&graph.step(first).title),
            Part::Folded { first, count } => {
                words.title = format!("{count} steps, from {}", plain(&graph.step(first).title));
            }
            Part::Cached(index) => {
                let step = graph.step(index);
                words.id = Some(&step.id);
                words.line = step.location.as_ref().map(|location| location.line);
                words.title = plain(&step.title);
                let mounts = step.caches().map(|(mount, ..)| MountRef { step: index, mount });
                let chip = |at| {
                    let (sharing, is_changed) = (planned.sharing(at), planned.is_changed(at));
                    Some(Chip { mount: at, key: key(at)?, sharing, is_changed, new_id: planned.new_id(at) })
                };
                words.chips = mounts.filter_map(chip).collect();
            }
            Part::Primer => {
                words.title = "makes the mountpoints in these caches".to_owned();
                let mounts = planned.plan.primer.iter().flat_map(|primer| &primer.mounts);
                let chip = |at: &MountRef| {
                    let sharing = String::new();
                    Some(Chip { mount: *at, key: key(*at)?, sharing, is_changed: false, new_id: None })
                };
                words.chips = mounts.filter_map(chip).collect();
            }
        }
        words.more = words.chips.len().saturating_sub(MOST_CHIPS);
        words.chips.truncate(MOST_CHIPS);
        words
    }

    /// A line each, for forms that have nothing but lines. Before a cache stand the numbers of its hazards.
    pub(super) fn lines(&self, outline: &Outline) -> Vec<String> {
        let id = self.id.map(|id| match self.line {
            Some(line) => format!("{} · line {line}", short(id, 40)),
            None => short(id, 40),
        });
        let chips = self.chips.iter().flat_map(|chip| {
            let numbers = outline.numbers(chip.mount).map(|number| format!("({}) ", number + 1));
            let key = numbers.collect::<String>() + &short_end(&chip.key.to_string(), 40);
            let line = if chip.sharing.is_empty() { key } else { format!("{key}: {}", chip.sharing) };
            let new_id = chip.new_id.as_ref().map(|id| format!("→ {}", short_end(id, 40)));
            [line].into_iter().chain(new_id)
        });
        let more = (self.more > 0).then(|| format!("… and {}", counted(self.more, "more cache")));
        id.into_iter().chain([short(&self.title, 44)]).chain(chips).chain(more).collect()
    }
}

/// The hazards by the numbers that stand at their steps, then what is not drawn.
pub(super) fn legend(planned: &Planned<'_>, outline: &Outline) -> Vec<String> {
    let hazards = outline.races.iter().enumerate().map(|(number, race)| {
        format!("({}) {}", number + 1, short(&hazard(&planned.plan.mended[race.place]), 240))
    });
    hazards.chain(outline.left_out.iter().cloned()).collect()
}

/// Who a hazard is and what becomes of it.
pub(super) fn hazard(mended: &Mended) -> String {
    let finding = &mended.finding;
    format!("{}: {}; {}", finding.rule.name, plain(&finding.message), fate(mended))
}

/// What becomes of a hazard.
pub(super) fn fate(mended: &Mended) -> String {
    match (mended.strategy, mended.finding.severity) {
        (Strategy::None, Severity::Note) => "left alone, as the tool bears it".to_owned(),
        (Strategy::None, _) => "left as it is".to_owned(),
        (strategy, _) => format!("mended by {strategy}"),
    }
}

/// What a picture does not show, a line each.
pub(super) fn left_out(bare: &[&Stage], steps: usize, hazards: usize) -> Vec<String> {
    let names =
        bare.iter().take(MOST_NAMES).map(|stage| short(&stage.name, 40)).collect::<Vec<_>>().join(", ");
    let more = bare.len().saturating_sub(MOST_NAMES);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let bare = (!bare.is_empty())
        .then(|| format!("not drawn: {} without caches: {names}{more}", counted(bare.len(), "stage")));
    let parts = [(steps, "step with caches", "steps with caches"), (hazards, "hazard", "hazards")];
    let parts = parts.into_iter().filter(|(count, ..)| *count > 0);
    let parts = parts.map(|(count, one, many)| format!("{count} {}", if count == 1 { one } else { many }));
    let parts = parts.collect::<Vec<_>>().join(", ");
    let crowded = (!parts.is_empty()).then(|| format!("not drawn, for want of room: {parts}"));
    bare.into_iter().chain(crowded).collect()
}

/// A text of at most so many characters; paths differ at their ends.
pub(super) fn short_end(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most {
        return text.to_owned();
    }
    let end: String = text.chars().skip(count + 1 - most.max(1)).collect();
    format!("…{end}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_end_of_a_path_stays() {
        assert_eq!(super::short_end("/root/.cache/pip", 7), "…he/pip");
        assert_eq!(super::short_end("/x", 7), "/x");
    }
}
