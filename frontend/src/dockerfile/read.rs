//! The Dockerfile reader: instructions to a graph, for the target and the platforms that are asked for.
//!
//! Steps that BuildKit would run once are one step here too: its ops are named by their content, so the same command in
//! the same environment on the same base is one op, whichever stages and platforms it stands in.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::evaluate::Evaluation;
use super::instruction::{Dockerfile, Flag, Instruction};
use super::platform::{Platform, automatic_arguments};
use super::stage::{self, Names, Source, Stage};
use super::state::{Environment, Fingerprint, State};
use crate::graph::{self, BuildGraph, GraphBuilder};

/// What is to be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The stage; the last one if none.
    pub target: Option<String>,
    /// What is built for. One is usual.
    pub platforms: Vec<Platform>,
    /// What is built on.
    pub build_platform: Platform,
    /// `--build-arg`.
    pub arguments: BTreeMap<String, String>,
}

impl Default for Options {
    fn default() -> Self {
        let host = Platform::host();
        Self { target: None, platforms: vec![host.clone()], build_platform: host, arguments: BTreeMap::new() }
    }
}

/// Where something stands: a line and a column from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column, in characters.
    pub column: u32,
}

impl Position {
    /// The beginning of the file, for what is about all of it.
    pub(super) const START: Self = Self { line: 1, column: 1 };

    pub(super) fn of(instruction: &Instruction<'_>) -> Self {
        Self { line: instruction.line, column: 1 }
    }

    pub(super) fn of_flag(flag: &Flag<'_>) -> Self {
        Self { line: flag.line, column: 1 }
    }

    pub(super) fn error(self, message: String, help: Option<&str>) -> BuildError {
        BuildError { place: self, message, help: help.map(str::to_owned) }
    }
}

/// A Dockerfile that is well written and cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BuildError {
    /// Where.
    pub place: Position,
    /// What, in one line.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// Reads the graph of what would be built. `file` is what locations call the file.
///
/// # Errors
/// The target does not exist, stages need each other in a circle, or a word cannot be expanded.
pub fn read(file: &str, dockerfile: &Dockerfile<'_>, options: &Options) -> Result<BuildGraph, BuildError> {
    let (global, stages) = stage::split(dockerfile);
    if stages.is_empty() {
        let help = Some("begin a stage with FROM");
        return Err(Position::START.error("there is nothing to build: no stage begins".to_owned(), help));
    }
    let names = Names::new(&stages);
    let target = names.target(options.target.as_deref())?;
    let mut graph = GraphBuilder::default();
    let mut steps = HashMap::new();
    let mut built = BTreeMap::new();
    for platform in &options.platforms {
        let reader = Reader { file, dockerfile, options, stages: &stages, names: &names, platform };
        reader.read(&global, target, &mut graph, &mut steps, &mut built)?;
    }
    built.into_values().for_each(|stage| graph.stage(stage));
    let cycle = |_| Position::START.error("the stages need each other in a circle".to_owned(), None);
    graph.finish().map_err(cycle)
}

/// Reads for one platform.
struct Reader<'r> {
    file: &'r str,
    dockerfile: &'r Dockerfile<'r>,
    options: &'r Options,
    stages: &'r [Stage<'r>],
    names: &'r Names<'r>,
    platform: &'r Platform,
}

/// A FROM, expanded.
struct Base {
    name: String,
    source: Source,
    platform: Option<Platform>,
}

impl Reader<'_> {
    fn read(
        &self,
        global: &[&Instruction<'_>],
        target: usize,
        graph: &mut GraphBuilder,
        steps: &mut HashMap<Fingerprint, graph::StepIndex>,
        built: &mut BTreeMap<usize, graph::Stage>,
    ) -> Result<(), BuildError> {
        let arguments = self.global_arguments(global)?;
        let bases = (0..self.stages.len()).map(|at| self.base(at, &arguments));
        let bases = bases.collect::<Result<Vec<_>, _>>()?;
        let needed = self.needed(target, &bases)?;
        let mut done = HashMap::<usize, State>::new();
        for (at, stage) in self.stages.iter().enumerate().filter(|(at, _)| needed.contains(at)) {
            let base = &bases[at];
            let state = match base.source {
                Source::Stage(from) => done.get(&from).cloned().unwrap_or_default(),
                // An empty one has the platform that is built for, whatever its FROM says (`resolveReachableStages`).
                Source::Empty => State::new(None, self.platform.to_string()),
                Source::Elsewhere => {
                    let platform = base.platform.as_ref().unwrap_or(self.platform).to_string();
                    State::new(Some(&base.name), platform)
                }
            };
            let mut evaluation = Evaluation {
                file: self.file,
                source: self.dockerfile.source,
                escape: self.dockerfile.escape,
                stage: stage.display(at),
                target: self.several().then(|| self.platform.to_string()),
                id: self.id(at),
                graph,
                steps,
                arguments: &arguments,
                given: &self.options.arguments,
                names: self.names,
                done: &done,
                caches: 0,
                state,
            };
            let triggers = match base.source {
                Source::Stage(from) => stage::triggers(&self.stages[from]).collect(),
                _ => Vec::new(),
            };
            // A trigger stands, for whoever looks for it, where the stage begins that it runs in.
            for trigger in triggers {
                evaluation.run(trigger, Some(stage.from))?;
            }
            for instruction in &stage.instructions {
                evaluation.run(instruction, None)?;
            }
            let state = evaluation.state;
            done.insert(at, state);
            built.entry(at).or_insert_with(|| graph::Stage {
                name: stage.display(at),
                index: at,
                base: base.name.clone(),
                line: stage.from.line,
            });
        }
        Ok(())
    }

    /// What begins the ids of a stage's steps: its name, unless another stage has it too.
    fn id(&self, at: usize) -> String {
        let name = self.stages[at].display(at);
        let repeats = self.names.repeats(&name);
        let name = if repeats { format!("{name}#{at}") } else { name };
        if self.several() { format!("{}/{name}", self.platform) } else { name }
    }

    /// Whether there are several platforms to build for.
    fn several(&self) -> bool {
        self.options.platforms.len() > 1
    }

    fn global_arguments(&self, global: &[&Instruction<'_>]) -> Result<Environment, BuildError> {
        let last = self.stages.last().and_then(|stage| stage.name).unwrap_or_default();
        let stage = self.options.target.as_deref().unwrap_or(last);
        let mut arguments = Environment::default();
        for (name, value) in automatic_arguments(&self.options.build_platform, self.platform, stage) {
            let given = self.options.arguments.get(&name).cloned();
            arguments.set(name, given.unwrap_or(value));
        }
        for instruction in global {
            arguments.declare_global(instruction, self.dockerfile.escape, &self.options.arguments)?;
        }
        Ok(arguments)
    }

    fn base(&self, at: usize, arguments: &Environment) -> Result<Base, BuildError> {
        let Stage { from, base, .. } = &self.stages[at];
        let place = Position::of(from);
        let name = arguments.expand(base, self.dockerfile.escape, place)?;
        if name.is_empty() {
            let help = "give its ARG a default before the first FROM";
            return Err(place.error(format!("FROM {base}: the image's name is empty"), Some(help)));
        }
        let platform = match stage::flag(from, "platform").and_then(|flag| flag.value.as_deref()) {
            None => None,
            Some(platform) => {
                let platform = arguments.expand(platform, self.dockerfile.escape, place)?;
                let parsed = platform.parse::<Platform>();
                Some(parsed.map_err(|error| {
                    let message = error.to_string();
                    let mut lines = message.lines();
                    let first = lines.next().unwrap_or_default();
                    place.error(format!("FROM --platform: {first}"), None)
                })?)
            }
        };
        let source = self.names.base(at, &name)?;
        Ok(Base { name, source, platform })
    }

    /// The stages that the target needs. Each may need earlier ones alone.
    fn needed(&self, target: usize, bases: &[Base]) -> Result<HashSet<usize>, BuildError> {
        let mut needed = HashSet::from([target]);
        let mut pending = vec![target];
        while let Some(at) = pending.pop() {
            let stage = &self.stages[at];
            let mut instructions = stage.instructions.clone();
            if let Source::Stage(base) = bases[at].source {
                instructions.extend(stage::triggers(&self.stages[base]));
                if needed.insert(base) {
                    pending.push(base);
                }
            }
            for instruction in instructions {
                for (source, place) in stage::sources(instruction, self.names)? {
                    let Source::Stage(other) = source else { continue };
                    if other >= at {
                        let (name, of) = (self.stages[other].display(other), stage.display(at));
                        let message = if other == at {
                            format!("the stage {name} takes something from itself")
                        } else {
                            format!("the stage {of} takes something from {name}, which comes later")
                        };
                        return Err(place.error(message, Some("a stage can use only stages before it")));
                    }
                    if needed.insert(other) {
                        pending.push(other);
                    }
                }
            }
        }
        Ok(needed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn error(source: &str, options: &Options) -> String {
        let dockerfile = parse(source.as_bytes()).expect("its words are right");
        let error = read("Dockerfile", &dockerfile, options).expect_err("it cannot be built");
        let Position { line, column } = error.place;
        format!("{line}:{column}: {error}\n  help: {}", error.help.as_deref().unwrap_or("none"))
    }

    #[test]
    fn what_cannot_be_built_is_refused_at_its_place() {
        let error = |source| error(source, &Options::default());
        insta::assert_snapshot!(error("ARG A=1\n"), @r"
        1:1: there is nothing to build: no stage begins
          help: begin a stage with FROM
        ");
        insta::assert_snapshot!(error("FROM b AS a\nFROM a AS b\n"), @r"
        1:1: FROM b: the stage b comes later, in line 2
          help: move that stage before this one, or give it another name if the image is meant
        ");
        insta::assert_snapshot!(error("FROM x AS a\nCOPY --from=b / /\nFROM x AS b\nCOPY --from=a / /\n"), @r"
        2:1: the stage a takes something from b, which comes later
          help: a stage can use only stages before it
        ");
        insta::assert_snapshot!(error("FROM x AS b\nRUN --mount=type=cache,target=/c \\\n  --mount=from=a,target=/a true\nFROM y AS a\nFROM b\n"), @r"
        3:1: the stage b takes something from a, which comes later
          help: a stage can use only stages before it
        ");
        insta::assert_snapshot!(error("FROM x AS a\nCOPY --from=a / /\n"), @r"
        2:1: the stage a takes something from itself
          help: a stage can use only stages before it
        ");
        insta::assert_snapshot!(error("FROM x\nCOPY --from=3 / /\n"), @r"
        2:1: COPY --from=3: no stage has this number; the first of 1 is 0
          help: none
        ");
        insta::assert_snapshot!(error("ARG V\nFROM $V\n"), @r"
        2:1: FROM $V: the image's name is empty
          help: give its ARG a default before the first FROM
        ");
        insta::assert_snapshot!(error("FROM --platform=a/b/c/d x\n"), @r#"
        1:1: FROM --platform: "a/b/c/d" is no platform
          help: none
        "#);
        insta::assert_snapshot!(error("FROM x\nENV A=\"${B:?give B}\"\n"), @r"
        2:1: B: give B
          help: none
        ");
        insta::assert_snapshot!(error("FROM x\nRUN --mount=type=cache,target=/c,sharing=most true\n"), @r"
        2:1: unknown sharing mode `most`
          help: none
        ");
    }

    #[test]
    fn a_target_that_does_not_exist_is_answered_with_those_that_do() {
        let options = Options { target: Some("c".to_owned()), ..Options::default() };
        insta::assert_snapshot!(error("FROM x AS a\nFROM y AS b\n", &options), @r#"
        1:1: there is no stage "c"
          help: the stages are a, b
        "#);
    }
}
