//! Order in text: a stage of nothing that waits for another stage, mounted by the step that comes after.
//!
//! The stage copies what is not there, so its content is the same whatever the other stage became, and a read-only mount
//! is keyed by content: the step stays cached. Its directory is named after the two stages, since equal content of two
//! such stages would be one cache key.

use std::collections::{BTreeMap, HashSet};

use super::flag::FlagText;
use super::layout::Layout;
use super::splice::Splice;

/// That a step of a stage starts after a stage has ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Edge {
    /// The stage that comes first.
    pub(super) before: usize,
    /// The stage of the step, later in the file.
    pub(super) stage: usize,
    /// The step's place in it.
    pub(super) number: usize,
    /// Where in the source its mount can be added.
    pub(super) at: usize,
}

/// Whether stages can be put in: a trigger that names a stage by its number cannot be told of it.
pub(super) fn is_possible(layout: &Layout<'_>) -> bool {
    layout.copies().all(|(flag, is_trigger)| !is_trigger || number(flag.value.as_deref()).is_none())
}

fn number(from: Option<&str>) -> Option<usize> {
    from?.parse().ok()
}

/// The stages and mounts. One for each pair of stages, at the first step that waits.
pub(super) fn write(layout: &Layout<'_>, edges: &[Edge], by_platform: bool) -> Vec<Splice> {
    let mut first = BTreeMap::<(usize, usize), &Edge>::new();
    for edge in edges {
        let known = first.entry((edge.stage, edge.before)).or_insert(edge);
        if edge.number < known.number {
            *known = edge;
        }
    }
    // The places of stages once the new ones are there.
    let shifted = |stage: usize| stage + first.keys().filter(|(later, _)| *later <= stage).count();
    let mut names: HashSet<_> =
        layout.stages.iter().filter_map(|stage| stage.name).map(str::to_owned).collect();
    let mut splices = Vec::new();
    for ((stage, before), edge) in &first {
        let [name_of_stage, name_of_before] = [stage, before].map(|at| layout.stages[*at].display(*at));
        let wanted = format!("ci-build-{name_of_stage}-after-{name_of_before}");
        let mut name = wanted.clone();
        let mut count = 1;
        while !names.insert(name.clone()) {
            count += 1;
            name = format!("{wanted}-{count}");
        }
        let is_unique =
            layout.stages.iter().filter(|other| other.name == Some(&*name_of_before)).count() == 1;
        let from = if is_unique { name_of_before } else { shifted(*before).to_string() };
        let at = layout.end_of(stage - 1);
        let (argument, suffix) = if by_platform {
            (Some("ARG TARGETPLATFORM".to_owned()), "/${TARGETPLATFORM}")
        } else {
            (None, "")
        };
        let lines = [
            Some(format!("FROM scratch AS {name}")),
            argument,
            Some(format!("WORKDIR /{name}{suffix}")),
            Some(format!("COPY --from={from} /.ci-build-no-such-path-* ./")),
        ];
        let text: String = lines.into_iter().flatten().map(|line| line + layout.newline(at)).collect();
        splices.push(Splice::insert(at, text));
        splices.push(Splice::insert(edge.at, format!(" --mount=type=bind,from={name},target=/dev/.{name}")));
    }
    for (flag, _) in layout.copies() {
        let Some(stage) = number(flag.value.as_deref()) else { continue };
        if shifted(stage) != stage
            && let Some(flag) = FlagText::read(layout.source, flag.span.range(), layout.escape)
        {
            splices.extend(flag.set_value(&shifted(stage).to_string()));
        }
    }
    splices
}
