//! Stages: which there are, what each starts from and takes from others, and which of them a build needs.

use std::collections::HashMap;

use super::instruction::{Body, Dockerfile, Flag, Instruction, Keyword};
use super::read::{BuildError, Position};

/// A stage as it was written.
#[derive(Debug)]
pub(super) struct Stage<'d> {
    /// The name that it was given.
    pub name: Option<&'d str>,
    /// Its FROM.
    pub from: &'d Instruction<'d>,
    /// What it starts from, before any expansion.
    pub base: &'d str,
    /// Its other instructions.
    pub instructions: Vec<&'d Instruction<'d>>,
}

impl Stage<'_> {
    /// Its name, or what BuildKit calls the n-th stage.
    pub(super) fn display(&self, index: usize) -> String {
        self.name.map_or_else(|| format!("stage-{index}"), str::to_owned)
    }
}

/// The instructions before the first FROM, which are ARGs, and the stages.
pub(super) fn split<'d>(dockerfile: &'d Dockerfile<'d>) -> (Vec<&'d Instruction<'d>>, Vec<Stage<'d>>) {
    let (mut global, mut stages) = (Vec::new(), Vec::<Stage<'d>>::new());
    for instruction in &dockerfile.instructions {
        if let Body::From(new) = &instruction.body {
            let (name, base, from) = (new.name.as_deref(), &*new.base, instruction);
            stages.push(Stage { name, from, base, instructions: Vec::new() });
        } else if let Some(stage) = stages.last_mut() {
            stage.instructions.push(instruction);
        } else {
            global.push(instruction);
        }
    }
    (global, stages)
}

/// The value of a flag.
pub(super) fn flag<'i>(instruction: &'i Instruction<'i>, name: &str) -> Option<&'i Flag<'i>> {
    instruction.flags().iter().find(|flag| flag.name == name)
}

/// What a name of another stage or image stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// A stage, by its place.
    Stage(usize),
    /// Nothing: `scratch`.
    Empty,
    /// An image, or a named context.
    Elsewhere,
}

/// How names find stages. A name that repeats means its last stage for `--from`, and the last one so far for FROM
/// (`dockerfile2llb/convert.go`, `addState` and `findStateByName`).
#[derive(Debug)]
pub(super) struct Names<'d> {
    /// The places of the stages of a name, in order.
    all: HashMap<&'d str, Vec<usize>>,
    stages: &'d [Stage<'d>],
}

impl<'d> Names<'d> {
    pub(super) fn new(stages: &'d [Stage<'d>]) -> Self {
        let mut all = HashMap::<_, Vec<_>>::new();
        for (at, stage) in stages.iter().enumerate() {
            // Names are in lower case.
            if let Some(name) = stage.name {
                all.entry(name).or_default().push(at);
            }
        }
        Self { all, stages }
    }

    /// What the FROM of the stage at `at` starts from, once expanded.
    pub(super) fn base(&self, at: usize, base: &str) -> Result<Source, BuildError> {
        if base == "scratch" {
            return Ok(Source::Empty);
        }
        let places = self.all.get(base).map(Vec::as_slice).unwrap_or_default();
        let (earlier, rest) = places.split_at(places.partition_point(|place| *place < at));
        if let Some(earlier) = earlier.last() {
            return Ok(Source::Stage(*earlier));
        }
        match rest.iter().find(|place| **place > at) {
            None => Ok(Source::Elsewhere),
            Some(later) => {
                let line = self.stages[*later].from.line;
                Err(Position::of(self.stages[at].from).error(
                    format!("FROM {base}: the stage {base} comes later, in line {line}"),
                    Some("move that stage before this one, or give it another name if the image is meant"),
                ))
            }
        }
    }

    /// What `COPY --from` means: the number of a stage, or a name.
    pub(super) fn copied(&self, flag: &Flag<'_>, from: &str) -> Result<Source, BuildError> {
        match from.parse::<usize>() {
            Ok(number) if number < self.stages.len() => Ok(Source::Stage(number)),
            Ok(number) => Err(Position::of_flag(flag).error(
                format!(
                    "COPY --from={number}: no stage has this number; the first of {} is 0",
                    self.stages.len()
                ),
                None,
            )),
            Err(_) => Ok(self.mounted(from)),
        }
    }

    /// What `RUN --mount=from=` means: a name, never a number.
    pub(super) fn mounted(&self, from: &str) -> Source {
        match self.last(from) {
            Some(stage) => Source::Stage(stage),
            None if from.is_empty() || from == "scratch" => Source::Empty,
            None => Source::Elsewhere,
        }
    }

    /// Whether several stages have a name.
    pub(super) fn repeats(&self, name: &str) -> bool {
        self.all.get(name).is_some_and(|places| places.len() > 1)
    }

    /// The last stage of a name.
    fn last(&self, name: &str) -> Option<usize> {
        self.all.get(&*name.to_lowercase())?.last().copied()
    }

    /// The stage of `--target`.
    pub(super) fn target(&self, target: Option<&str>) -> Result<usize, BuildError> {
        let Some(target) = target else { return Ok(self.stages.len().saturating_sub(1)) };
        self.last(target).ok_or_else(|| {
            let names = self.stages.iter().filter_map(|stage| stage.name).collect::<Vec<_>>().join(", ");
            let help = if names.is_empty() { None } else { Some(format!("the stages are {names}")) };
            Position::START.error(format!("there is no stage {target:?}"), help.as_deref())
        })
    }
}

/// The triggers that a stage's child runs first.
pub(super) fn triggers<'d>(stage: &Stage<'d>) -> impl Iterator<Item = &'d Instruction<'d>> {
    stage.instructions.iter().filter_map(|instruction| match &instruction.body {
        Body::Onbuild(trigger) => Some(&**trigger),
        _ => None,
    })
}

/// The flags of an instruction that name other stages, with what they name.
pub(super) fn sources(
    instruction: &Instruction<'_>,
    names: &Names<'_>,
) -> Result<Vec<(Source, Position)>, BuildError> {
    let mut sources = Vec::new();
    for flag in instruction.flags() {
        let value = flag.value.as_deref().unwrap_or_default();
        match (instruction.keyword, &*flag.name) {
            (Keyword::Copy | Keyword::Add, "from") => {
                sources.push((names.copied(flag, value)?, Position::of_flag(flag)));
            }
            (Keyword::Run, "mount") => {
                // Syntax was checked when the file was parsed, and a variable is not allowed in `from`.
                if let Ok(mount) = super::mount::parse(value, None) {
                    sources.push((names.mounted(&mount.from), Position::of_flag(flag)));
                }
            }
            _ => {}
        }
    }
    Ok(sources)
}
