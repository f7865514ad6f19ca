//! A stage, instruction by instruction: what its words mean, and which steps it makes.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::instruction::{Body, Flag, Heredoc, Instruction, Keyword, Text};
use super::mount::{self, RunMount};
use super::paths::{join, taken_at};
use super::policies::namespace;
use super::read::{BuildError, Position};
use super::stage::{Names, Source};
use super::state::{Environment, Fingerprint, State};
use crate::graph::{GraphBuilder, Location, Mount, Step, StepIndex};

/// A stage while it is read.
pub(super) struct Evaluation<'e> {
    pub file: &'e str,
    pub source: &'e str,
    pub escape: char,
    pub stage: String,
    /// The platform that is built for, where there are several.
    pub target: Option<String>,
    /// What begins the ids of its steps.
    pub id: String,
    pub graph: &'e mut GraphBuilder,
    /// The steps that there are, by what they are made of.
    pub steps: &'e mut HashMap<Fingerprint, StepIndex>,
    /// What was declared before the first FROM.
    pub arguments: &'e Environment,
    /// `--build-arg`.
    pub given: &'e BTreeMap<String, String>,
    pub names: &'e Names<'e>,
    /// The stages before it.
    pub done: &'e HashMap<usize, State>,
    pub state: State,
    /// Cache-mounting RUNs so far.
    pub caches: usize,
}

impl Evaluation<'_> {
    /// Does what an instruction says. A trigger stands `at` another one.
    pub(super) fn run(
        &mut self,
        instruction: &Instruction<'_>,
        at: Option<&Instruction<'_>>,
    ) -> Result<(), BuildError> {
        let place = Position::of(instruction);
        match &instruction.body {
            Body::Arg(arguments) => self.declare(arguments, place),
            Body::Env(variables) => {
                // All of one ENV see what was before it.
                let before = self.state.environment.clone();
                for (name, value) in variables.iter() {
                    let name = before.expand(name, self.escape, place)?;
                    let value = before.expand(value, self.escape, place)?;
                    self.state.environment.set(name, value);
                }
                Ok(())
            }
            Body::Workdir(path) => {
                let path = self.expand(path, place)?;
                self.state.workdir = join(&self.state.workdir, &path);
                let parts = ["workdir".to_owned(), self.state.workdir.clone(), self.state.user.clone()];
                self.step(at.unwrap_or(instruction), &parts, &[], Vec::new());
                Ok(())
            }
            Body::Shell(words) => {
                self.state.shell = words.iter().map(ToString::to_string).collect();
                Ok(())
            }
            Body::Copy(paths) => self.copy(instruction, at, paths),
            Body::Run(text) => self.command(instruction, at, format!("shell {text}")),
            Body::Exec(words) => self.command(instruction, at, format!("exec {words:?}")),
            Body::Other if instruction.keyword == Keyword::User => {
                let text = instruction.span.of(self.source).trim();
                self.state.user = self.expand(text, place)?;
                Ok(())
            }
            Body::From(_) | Body::Onbuild(_) | Body::Other => Ok(()),
        }
    }

    fn expand(&self, word: &str, place: Position) -> Result<String, BuildError> {
        self.state.environment.expand(word, self.escape, place)
    }

    /// ARG within a stage: from the command line, else its default, else what was declared before the first FROM.
    fn declare(
        &mut self,
        arguments: &[(Text<'_>, Option<Text<'_>>)],
        place: Position,
    ) -> Result<(), BuildError> {
        for (name, default) in arguments {
            let value = match (self.given.get(&**name), default) {
                (Some(given), _) => Some(given.clone()),
                (None, Some(default)) => Some(self.expand(default, place)?),
                (None, None) => self.arguments.get(name).cloned(),
            };
            if let Some(value) = value {
                self.state.environment.set(name.to_string(), value);
            }
        }
        Ok(())
    }

    fn copy(
        &mut self,
        instruction: &Instruction<'_>,
        at: Option<&Instruction<'_>>,
        paths: &[Text<'_>],
    ) -> Result<(), BuildError> {
        let place = Position::of(instruction);
        let mut parts = vec![format!("{:?}", instruction.keyword), self.state.workdir.clone()];
        let mut inputs = Vec::new();
        for flag in instruction.flags() {
            let value = flag.value.as_deref().unwrap_or_default();
            if flag.name == "from" {
                let source = self.names.copied(flag, value)?;
                parts.push(self.source(source, value, &mut inputs));
            } else {
                parts.push(format!("{}={}", flag.name, self.expand(value, place)?));
            }
        }
        for path in paths {
            parts.push(self.expand(path, place)?);
        }
        parts.extend(instruction.heredocs().iter().map(|heredoc| self.text(heredoc)));
        self.step(at.unwrap_or(instruction), &parts, &inputs, Vec::new());
        Ok(())
    }

    fn command(
        &mut self,
        instruction: &Instruction<'_>,
        at: Option<&Instruction<'_>>,
        command: String,
    ) -> Result<(), BuildError> {
        let mut parts = vec![
            "RUN".to_owned(),
            self.state.workdir.clone(),
            self.state.user.clone(),
            self.state.platform.clone().unwrap_or_default(),
            format!("{:?}", self.state.shell),
            command,
        ];
        parts.extend(instruction.heredocs().iter().map(|heredoc| self.text(heredoc)));
        parts.extend(self.state.environment.iter().map(|(name, value)| format!("{name}={value}")));
        let mut inputs = Vec::new();
        let mut mounts = Vec::new();
        for flag in instruction.flags() {
            let value = flag.value.as_deref().unwrap_or_default();
            if flag.name == "mount" {
                let mount = self.parse_mount(flag, value)?;
                let source = self.names.mounted(&mount.from);
                let known = inputs.len();
                let from = self.source(source, &mount.from, &mut inputs);
                parts.push(format!("{mount:?} {from}"));
                let place = taken_at(&self.state.workdir, &mount.target);
                let input = inputs.get(known).copied();
                mounts.push((place, Mount { input, ..self.mount(mount, flag, from) }));
            } else {
                parts.push(format!("{}={}", flag.name, self.expand(value, Position::of_flag(flag))?));
            }
        }
        // The order in which the engine takes them (`client/llb/exec.go`, `Marshal`).
        mounts.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mounts = mounts.into_iter().map(|(_, mount)| mount).collect();
        self.step(at.unwrap_or(instruction), &parts, &inputs, mounts);
        Ok(())
    }

    fn text(&self, heredoc: &Heredoc) -> String {
        heredoc.content.of(self.source).to_owned()
    }

    fn parse_mount(&self, flag: &Flag<'_>, value: &str) -> Result<RunMount, BuildError> {
        let place = Position::of_flag(flag);
        let mut failure = None;
        let mut expand = |word: &str| {
            self.expand(word, place).map_err(|error| {
                let message = error.message.clone();
                failure = Some(error);
                message
            })
        };
        let parsed = mount::parse(value, Some(&mut expand));
        parsed.map_err(|error| failure.take().unwrap_or_else(|| place.error(error.to_string(), None)))
    }

    /// What an input is made of; a step that makes it becomes one of `inputs`.
    fn source(&self, source: Source, name: &str, inputs: &mut Vec<StepIndex>) -> String {
        match source {
            Source::Stage(stage) => {
                let state = self.done.get(&stage).cloned().unwrap_or_default();
                inputs.extend(state.step);
                state.fingerprint.short()
            }
            Source::Empty => String::new(),
            Source::Elsewhere => {
                let platform = self.state.platform.clone().unwrap_or_default();
                State::new(Some(name), platform).fingerprint.short()
            }
        }
    }

    fn mount(&self, mount: RunMount, flag: &Flag<'_>, from: String) -> Mount {
        let target = join(&self.state.workdir, &mount.target);
        let cache = mount.cache(&from, namespace(self.given));
        let (kind, readonly) = (mount.kind, mount.readonly);
        Mount { kind, target, readonly, cache, span: Some(flag.span.range()), ..Mount::default() }
    }

    /// Adds a step behind what the stage is so far, unless there is one that is made of the same.
    fn step(&mut self, at: &Instruction<'_>, parts: &[String], inputs: &[StepIndex], mounts: Vec<Mount>) {
        let own = self.state.fingerprint.0;
        let parts = parts.iter().map(String::as_bytes).chain([&own[..]]);
        let fingerprint = Fingerprint::of(parts);
        let line = at.line;
        let has_caches = mounts.iter().any(|mount| mount.cache.is_some());
        self.caches += usize::from(has_caches);
        let id =
            if has_caches { format!("{}/{}", self.id, self.caches) } else { format!("{}:{line}", self.id) };
        let new = || Step {
            id,
            stage: Some(self.stage.clone()),
            platform: self.state.platform.clone(),
            target: self.target.clone(),
            location: Some(Location { file: self.file.to_owned(), line }),
            title: title(at),
            mounts,
        };
        let index = match self.steps.get(&fingerprint) {
            Some(index) => *index,
            None => {
                let index = self.graph.add(new());
                for input in self.state.step.iter().chain(inputs) {
                    self.graph.depend(*input, index);
                }
                self.steps.insert(fingerprint, index);
                index
            }
        };
        self.state.step = Some(index);
        self.state.fingerprint = fingerprint;
    }
}

/// An instruction in one line.
fn title(instruction: &Instruction<'_>) -> String {
    let text = match &instruction.body {
        Body::Run(text) => Cow::Borrowed(&**text),
        Body::Exec(words) => Cow::Owned(words.join(" ")),
        Body::Copy(paths) => {
            Cow::Borrowed(paths.last().map(|destination| &**destination).unwrap_or_default())
        }
        Body::Workdir(path) => Cow::Borrowed(&**path),
        _ => Cow::Borrowed(""),
    };
    format!("{} {text}", format!("{:?}", instruction.keyword).to_uppercase())
}
