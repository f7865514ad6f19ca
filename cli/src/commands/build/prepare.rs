//! What a build needs before it starts: the frontend in the engine, or another text of the Dockerfile; and afterwards.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use ci_build_frontend::dockerfile::{self, Options};
use ci_build_frontend::plan::{Durations, Policy, Settings};

use super::{Arguments, flag, follow, lease};
use crate::build::{self, Asked, Driver, Input, MARK, Made, Obstacle, SYNTAX, Situation, Source, Way};
use crate::commands::{block_on, frontend};
use crate::engine::{Endpoint, Engine};
use crate::error::{Blame, Explain, Failure};
use crate::failpoint;
use crate::image::{Fingerprint, Image};
use crate::process;
use crate::store::{Quiet, Scratch, Store};

/// A build that is ready to start.
pub(super) struct Prepared {
    /// Flags for buildx, behind the user's.
    flags: Vec<OsString>,
    words: Vec<OsString>,
    stdin: Input,
    /// Files of ours that buildx reads and writes.
    scratch: Scratch,
    /// What the build is known by in the engine, where it is followed.
    mark: Option<String>,
}

/// Files for the build cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot write '{}'", path.display())]
struct FileError {
    path: PathBuf,
    source: std::io::Error,
}

impl Explain for FileError {
    fn blame(&self) -> Blame {
        Blame::Surroundings
    }
}

impl Prepared {
    pub(super) fn new(
        arguments: &Arguments,
        asked: &Asked,
        driver: &Driver,
        source: Source,
        store: &Store,
        durations: &Durations,
    ) -> Result<Self, Failure> {
        let Source { text, path, mut stdin } = source;
        let binary = frontend::binary(arguments.frontend_binary.as_deref());
        let frontend = arguments.frontend(binary.is_ok());
        let variable = |name: &str| std::env::var(name).ok();
        let argument = asked.argument(SYNTAX, variable);
        let situation = Situation {
            policy: arguments.policy,
            is_question: asked.is_question,
            driver,
            frontend: &frontend,
            argument: argument.as_deref(),
            is_seen: text.is_some(),
            syntax_line: text.as_deref().and_then(dockerfile::syntax_line),
        };
        let scratch = store.scratch()?;
        failpoint::reach("build.scratch");
        let mut flags = Vec::new();
        let mut way = build::choose(&situation);
        if way == Way::Text {
            match rewritten(text.as_deref().unwrap_or_default(), &options(asked, variable), arguments) {
                Ok(text) => match (&path, &mut stdin) {
                    (Some(path), _) => flags.extend(flag("--file", beside(&scratch, path, &text)?)),
                    (None, stdin) => *stdin = Input::Read(text),
                },
                Err(obstacle) => way = Way::Unmended(obstacle),
            }
        }
        match &way {
            Way::Through(value) => {
                if let (build::Frontend::Own(_), Ok(binary)) = (&frontend, &binary) {
                    provide(arguments, binary, store)?;
                }
                flags.extend(flag("--build-arg", format!("{SYNTAX}={value}")));
                flags.extend(arguments.choices());
            }
            Way::Chosen => flags.extend(arguments.choices()),
            Way::Plain | Way::Text => {}
            Way::Unmended(obstacle) => {
                anstream::eprintln!("warning: the build is not mended: {obstacle}");
                if !matches!(obstacle, Obstacle::Text(_)) {
                    anstream::eprintln!(
                        "  help: name an image that the builder can pull with --frontend; `ci-build frontend push` makes one"
                    );
                }
            }
        }
        if matches!(way, Way::Through(_) | Way::Chosen) && !durations.is_empty() && !asked.is_question {
            flags.extend(flag("--build-arg", format!("CI_BUILD_DURATIONS={durations}")));
        }
        let is_followed = *driver == Driver::Docker && !matches!(way, Way::Plain) && !asked.is_question;
        let mark = is_followed.then(follow::mark).flatten();
        if let Some(mark) = &mark {
            flags.extend(flag("--build-arg", format!("{MARK}={mark}")));
        }
        if asked.metadata.is_none() && !asked.is_question {
            flags.extend(flag("--metadata-file", metadata(&scratch)));
        }
        failpoint::reach("build.prepared");
        Ok(Self { flags, words: arguments.words.clone(), stdin, scratch, mark })
    }

    /// The command that builds.
    pub(super) fn command(&mut self, buildx: &[OsString], asked: &Asked) -> Result<Command, Failure> {
        let words = asked.with_flags(&self.words, self.flags.clone());
        let [program, rest @ ..] = buildx else { return Ok(process::bound("docker".as_ref())) };
        let mut command = process::bound(program);
        command.args(rest).arg(super::NAME).args(words);
        if asked.metadata.is_none() && std::env::var_os(PROVENANCE).is_none() {
            // It would be asked for at the end of the build, and nobody reads it.
            command.env(PROVENANCE, "disabled");
        }
        let stdin = std::mem::replace(&mut self.stdin, Input::Untouched);
        let none = |source| FileError { path: "standard input".into(), source };
        command.stdin(stdin.stdio().map_err(none)?);
        self.scratch.pass_on()?;
        Ok(command)
    }

    /// What the build is known by in the engine, where it is followed.
    pub(super) fn mark(&self) -> Option<String> {
        self.mark.clone()
    }

    /// What was made.
    pub(super) fn made(&self, asked: &Asked) -> Made {
        let path = asked.metadata.clone().unwrap_or_else(|| metadata(&self.scratch));
        Made::read(&std::fs::read(path).unwrap_or_default(), &asked.tags)
    }
}

/// buildx's variable for what it writes into a metadata file.
const PROVENANCE: &str = "BUILDX_METADATA_PROVENANCE";

fn metadata(scratch: &Scratch) -> PathBuf {
    scratch.path().join("metadata.json")
}

impl Arguments {
    /// What was asked of the frontend, as it takes it.
    fn choices(&self) -> Vec<OsString> {
        let policy = self.policy.map(|policy| format!("CI_BUILD_POLICY={policy}"));
        let scope = self.scope.map(|scope| format!("CI_BUILD_SCOPE={scope}"));
        [policy, scope].into_iter().flatten().flat_map(|choice| flag("--build-arg", choice)).collect()
    }
}

/// Gives the engine the frontend, if it has it not, and leases it to the job: its steps may build by other commands too.
fn provide(arguments: &Arguments, binary: &frontend::Binary, store: &Store) -> Result<(), Failure> {
    let name = &arguments.frontend_name;
    let fingerprint = binary.read(Fingerprint::of_binary)?;
    let endpoint = Endpoint::of_this_process()?;
    let leases = store.leases()?;
    // From the look at the engine until the lease is there nobody deletes an image.
    let _quiet = block_on(Quiet::for_addition(&leases, arguments.bounds.wait))??;
    let id = block_on(async {
        let engine = Engine::connect(&endpoint).await?;
        if !engine.has_alike(name, &fingerprint).await? {
            let image = binary.read(Image::of_binary)?;
            failpoint::reach("build.providing");
            engine.load(name, &image).await?;
            failpoint::reach("build.provided");
        }
        Ok::<_, Failure>(engine.image_id(&name.to_string()).await?)
    })??;
    id.map_or(Ok(()), |id| lease::image(store, &leases, &[name.to_string()], &id))
}

fn options(asked: &Asked, variable: impl Fn(&str) -> Option<String>) -> Options {
    let mut options = Options { target: asked.target.clone(), ..Options::default() };
    let platforms: Vec<_> = asked.platforms.iter().filter_map(|platform| platform.parse().ok()).collect();
    if !platforms.is_empty() {
        options.platforms = platforms;
    }
    let argument = |given: &String| match given.split_once('=') {
        Some((name, value)) => Some((name.to_owned(), value.to_owned())),
        None => variable(given).map(|value| (given.clone(), value)),
    };
    options.arguments = asked.arguments.iter().filter_map(argument).collect::<BTreeMap<_, _>>();
    options
}

/// The mended text.
fn rewritten(text: &[u8], options: &Options, arguments: &Arguments) -> Result<Vec<u8>, Obstacle> {
    let settings = Settings {
        policy: arguments.policy.unwrap_or(Policy::Auto),
        scope: arguments.scope.unwrap_or_default(),
        ..Settings::default()
    };
    let rewritten = dockerfile::rewrite(text, options, &settings);
    rewritten.map(|rewritten| rewritten.text.into_bytes()).map_err(|error| Obstacle::Text(error.to_string()))
}

/// Writes another text of a Dockerfile under its own name, with the files that belong to it by name.
fn beside(scratch: &Scratch, path: &Path, text: &[u8]) -> Result<PathBuf, FileError> {
    let file = scratch.path().join(path.file_name().unwrap_or("Dockerfile".as_ref()));
    std::fs::write(&file, text).map_err(|source| FileError { path: file.clone(), source })?;
    for (from, name) in build::companions(path) {
        let to = scratch.path().join(name);
        std::fs::copy(from, &to).map_err(|source| FileError { path: to, source })?;
    }
    Ok(file)
}
