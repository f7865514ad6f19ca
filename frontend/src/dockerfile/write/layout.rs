//! Where instructions and flags stand.

use std::collections::HashMap;

use crate::dockerfile::instruction::{Body, Dockerfile, Flag, Instruction, Keyword};
use crate::dockerfile::stage::{self, Stage};

/// A flag's instruction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    /// The stage that it stands in.
    pub(super) stage: usize,
    /// Its place among the instructions of the stage.
    pub(super) number: usize,
    /// Whether it is the trigger of an ONBUILD.
    pub(super) is_trigger: bool,
}

/// A Dockerfile with the places of its parts.
#[derive(Debug)]
pub(super) struct Layout<'d> {
    pub(super) source: &'d str,
    pub(super) escape: char,
    pub(super) stages: Vec<Stage<'d>>,
    flags: HashMap<usize, Found>,
}

impl<'d> Layout<'d> {
    pub(super) fn new(dockerfile: &'d Dockerfile<'d>) -> Self {
        let (_, stages) = stage::split(dockerfile);
        let mut flags = HashMap::new();
        for (stage, written) in stages.iter().enumerate() {
            for (number, instruction) in written.instructions.iter().enumerate() {
                let mut add = |flag: &Flag<'_>, is_trigger| {
                    flags.insert(flag.span.range().start, Found { stage, number, is_trigger });
                };
                instruction.flags().iter().for_each(|flag| add(flag, false));
                if let Body::Onbuild(trigger) = &instruction.body {
                    trigger.flags().iter().for_each(|flag| add(flag, true));
                }
            }
        }
        Self { source: dockerfile.source, escape: dockerfile.escape, stages, flags }
    }

    pub(super) fn flag(&self, start: usize) -> Option<Found> {
        self.flags.get(&start).copied()
    }

    /// The stage that a line stands in.
    pub(super) fn stage_at(&self, line: u32) -> Option<usize> {
        self.stages.partition_point(|stage| stage.from.line <= line).checked_sub(1)
    }

    /// Where the instruction before another one ends: what is put there parts no instruction from its comments.
    pub(super) fn end_before(&self, stage: usize, number: usize) -> usize {
        let stage = &self.stages[stage];
        number.checked_sub(1).map_or(stage.from, |before| stage.instructions[before]).span.range().end
    }

    /// Where the last instruction of a stage ends.
    pub(super) fn end_of(&self, stage: usize) -> usize {
        self.end_before(stage, self.stages[stage].instructions.len())
    }

    /// What ends the line before a place.
    pub(super) fn newline(&self, at: usize) -> &'static str {
        if self.source.get(..at).is_some_and(|before| before.ends_with("\r\n")) { "\r\n" } else { "\n" }
    }

    /// What copies are taken from: the flags, and whether they stand in triggers.
    pub(super) fn copies(&self) -> impl Iterator<Item = (&'d Flag<'d>, bool)> {
        let instructions = self.stages.iter().flat_map(|stage| stage.instructions.iter().copied());
        instructions.flat_map(|instruction: &'d Instruction<'d>| {
            let (instruction, is_trigger) = match &instruction.body {
                Body::Onbuild(trigger) => (&**trigger, true),
                _ => (instruction, false),
            };
            let is_copy = matches!(instruction.keyword, Keyword::Copy | Keyword::Add);
            let flags = instruction.flags().iter().filter(move |flag| is_copy && flag.name == "from");
            flags.map(move |flag| (flag, is_trigger))
        })
    }

    /// Whether an argument without a value is declared in a stage before an instruction, for triggers or for the stage.
    pub(super) fn declares(&self, found: Found, name: &str) -> bool {
        let before = &self.stages[found.stage].instructions[..found.number];
        before.iter().any(|instruction| {
            let body = match &instruction.body {
                Body::Onbuild(trigger) if found.is_trigger => &trigger.body,
                _ if found.is_trigger => return false,
                body => body,
            };
            matches!(body, Body::Arg(arguments) if arguments.iter().any(|(known, value)| known == name && value.is_none()))
        })
    }

    /// The line, from 1, of a place.
    pub(super) fn line(&self, at: usize) -> u32 {
        let before = self.source.get(..at).unwrap_or_default();
        u32::try_from(before.matches('\n').count()).unwrap_or(u32::MAX).saturating_add(1)
    }
}
