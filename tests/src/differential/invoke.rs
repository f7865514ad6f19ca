//! One run of a client, and everything that it leaves.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use xtask::build::{Ended, Outcome};
use xtask::client::Client;
use xtask::command;

use super::case::{Case, Syntax, TAG, Tool};
use super::facts::Facts;
use super::image::{self, Layers};
use super::{progress, tree};
use crate::definition;

/// The image of a frontend that may stand behind ours: it is ours once more.
pub const STAND_IN: &str = "local/stand-in:latest";

/// Who builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// The engine's own frontend.
    Upstream,
    /// Ours, with `policy=off`.
    Off,
    /// Ours, with `policy=auto`.
    Auto,
}

impl Way {
    /// What results call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Off => "off",
            Self::Auto => "auto",
        }
    }

    /// The first line of the Dockerfile, if the case is about it.
    #[must_use]
    pub fn first_line(self, syntax: Syntax, frontend: &str) -> Option<String> {
        match (syntax, self) {
            (Syntax::Argument, _) => None,
            (_, Self::Upstream) => Some("# a line that names no frontend\n".to_owned()),
            (Syntax::Line, way) => Some(format!("# syntax={frontend} policy={}\n", way.name())),
            (Syntax::Behind, way) => {
                Some(format!("# syntax={frontend} policy={} upstream={STAND_IN}\n", way.name()))
            }
            (Syntax::Over, _) => Some("# syntax=localhost/no-such-frontend\n".to_owned()),
        }
    }

    /// The build arguments that choose it.
    fn arguments(self, case: &Case, frontend: &str) -> Vec<String> {
        if self == Self::Upstream || matches!(case.syntax, Syntax::Line | Syntax::Behind) {
            return Vec::new();
        }
        let values = [("BUILDKIT_SYNTAX", frontend), ("CI_BUILD_POLICY", self.name())];
        let arguments = values.map(|(name, value)| match case.tool {
            Tool::Bake => format!("--set=*.args.{name}={value}"),
            Tool::Build | Tool::Compose => format!("--build-arg={name}={value}"),
        });
        arguments.into()
    }
}

/// What a run is made of, beside the case.
#[derive(Debug)]
pub struct Setting<'s> {
    /// What talks to the engine.
    pub client: &'s Client,
    /// The name of our image.
    pub frontend: &'s str,
    /// Who builds.
    pub way: Way,
    /// The working directory.
    pub work: PathBuf,
    /// For results; it is empty.
    pub out: PathBuf,
    /// What stands in arguments, and what it stands for.
    pub words: Vec<(&'static str, String)>,
}

impl Setting<'_> {
    /// A text with what its words stand for.
    #[must_use]
    pub fn fill(&self, text: &str) -> String {
        self.words.iter().fold(text.to_owned(), |text, (word, value)| text.replace(word, value))
    }

    /// Builds a case and gives what there is to know of it.
    ///
    /// # Errors
    /// When the client cannot be run, or leaves what cannot be read.
    pub fn run(&self, case: &Case, layers: &mut Layers) -> Result<Facts> {
        if self.out.exists() {
            fs::remove_dir_all(&self.out).context("cannot remove results")?;
        }
        fs::create_dir_all(&self.out).context("cannot create a directory")?;
        let metadata = self.out.with_extension("json");
        let mut command = self.command(case.tool, &metadata, |command| {
            if case.tool == Tool::Build && case.images.is_none() {
                command.arg(format!("--tag={TAG}"));
            }
            command.args(self.way.arguments(case, self.frontend));
            command.args(case.arguments.iter().map(|argument| self.fill(argument)));
            if case.tool == Tool::Build {
                command.arg(self.fill(&case.context));
            }
        });
        self.surround(case, &mut command)?;
        let mut facts = Facts::default();
        finish(command, case.tool, case.interrupt_at.as_deref(), &mut facts)?;
        if let Ok(text) = fs::read(&metadata) {
            let document: Value = serde_json::from_slice(&text).context("the metadata is no JSON")?;
            facts.json("metadata", &document);
            fs::remove_file(&metadata).context("cannot remove a file")?;
        }
        results(&self.out, layers, &mut facts)?;
        Ok(facts)
    }

    /// Builds something before the case and gives how it ended.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn before(&self, case: &Case, arguments: &[String]) -> Result<Facts> {
        let metadata = self.out.with_extension("json");
        let mut command = self.command(Tool::Build, &metadata, |command| {
            command.args(self.way.arguments(case, self.frontend));
            command.args(arguments.iter().map(|argument| self.fill(argument))).arg(".");
        });
        command.stdin(Stdio::null());
        let mut facts = Facts::default();
        finish(command, Tool::Build, None, &mut facts)?;
        Ok(facts)
    }

    /// Has the definitions of a build captured, and gives the directory that they are in. None where the frontends refuse
    /// the build, and for what is no plain build.
    ///
    /// # Errors
    /// When the client cannot be run.
    pub fn capture(&self, case: &Case) -> Result<Option<PathBuf>> {
        /// What becomes of a result: another one, here.
        const OUTPUTS: [&str; 14] = [
            "--output",
            "-o",
            "--push",
            "--load",
            "--tag",
            "-t",
            "--iidfile",
            "--provenance",
            "--sbom",
            "--attest",
            "--cache-to",
            "--annotation",
            "--quiet",
            "--metadata-file",
        ];
        let is_question = |argument: &String| argument.starts_with("--call") || argument == "--check";
        if case.tool != Tool::Build || case.arguments.iter().any(is_question) {
            return Ok(None);
        }
        fs::create_dir_all(&self.out).context("cannot create a directory")?;
        let captured = self.out.join("definitions");
        let mut command = self.command(case.tool, &self.out.with_extension("json"), |command| {
            command.arg(definition::capture_argument(self.frontend));
            command.args(["--build-arg=CI_BUILD_POLICY=off", "--provenance=false"]);
            command.arg(format!("--output=type=local,dest={}", captured.display()));
            let arguments = case.arguments.iter().filter(|argument| {
                let name = argument.split('=').next().unwrap_or_default();
                !OUTPUTS.contains(&name)
            });
            command.args(arguments.map(|argument| self.fill(argument))).arg(self.fill(&case.context));
        });
        self.surround(case, &mut command)?;
        let is_built = command.output().context("cannot run the client")?.status.success();
        Ok(is_built.then_some(captured))
    }

    /// The standard input and the variables of a case.
    fn surround(&self, case: &Case, command: &mut Command) -> Result<()> {
        for (name, value) in &case.environment {
            command.env(name, self.fill(value));
        }
        command.stdin(match &case.stdin {
            Some(name) => File::open(self.work.join(name)).context("cannot open the standard input")?.into(),
            None => Stdio::null(),
        });
        Ok(())
    }

    fn command(&self, tool: Tool, metadata: &Path, rest: impl FnOnce(&mut Command)) -> Command {
        const LIMIT_S: &str = "180";
        // Interrupted first, as by Ctrl-C, so that the engine hears of it.
        let mut command = self.client.set_up(Command::new("timeout"));
        command.args(["--signal=INT", "--kill-after=20", LIMIT_S]);
        match tool {
            Tool::Build | Tool::Bake => {
                command.arg(self.client.tools().join("docker-buildx"));
                command.arg(if tool == Tool::Build { "build" } else { "bake" });
                command.arg("--progress=rawjson").arg(format!("--metadata-file={}", metadata.display()));
            }
            Tool::Compose => {
                command.arg(self.client.tools().join("docker"));
                command.args(["compose", "--progress=plain", "build"]);
            }
        }
        rest(&mut command);
        command
            .current_dir(&self.work)
            // As much as there is of provenance, and no question about files that bake reads.
            .env("BUILDX_METADATA_PROVENANCE", "max")
            .env("BUILDX_BAKE_ENTITLEMENTS_FS", "0")
            .env_remove("SSH_AUTH_SOCK");
        command
    }
}

/// Runs the client to its end, which comes when a step writes what `interrupt_at` says, if anything.
fn finish(mut command: Command, tool: Tool, interrupt_at: Option<&str>, facts: &mut Facts) -> Result<()> {
    let output = match interrupt_at {
        None => command.output().context("cannot run the client")?,
        Some(text) => interrupted(command, text)?,
    };
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    facts
        .put("exit", output.status.code().map_or_else(|| output.status.to_string(), |code| code.to_string()));
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if tool == Tool::Compose {
        plain(stdout + &text, output.status.success(), facts);
    } else {
        facts.put("stdout", stdout);
        facts.append_all(progress::facts(&text));
    }
    Ok(())
}

/// Runs the client and interrupts it when a step writes this text.
fn interrupted(mut command: Command, text: &str) -> Result<Output> {
    let mut client =
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().context("cannot run the client")?;
    let mut stderr = Vec::new();
    for line in BufReader::new(client.stderr.take().context("it is a pipe")?).lines() {
        let line = line.context("cannot read what the client says")?;
        if progress::tells(&line, text) {
            command::run(Command::new("kill").arg("-INT").arg(client.id().to_string()))?;
        }
        stderr.extend(line.into_bytes());
        stderr.push(b'\n');
    }
    let status = client.wait().context("cannot wait for the client")?;
    Ok(Output { status, stdout: Vec::new(), stderr })
}

/// What is known of a build whose progress is for people.
fn plain(output: String, is_well: bool, facts: &mut Facts) {
    let ended = if is_well { Ended::Well } else { Ended::Failed };
    let outcome = Outcome { ended, code: None, output, wall: Duration::ZERO };
    let said = outcome.output.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    facts.put("said", said.collect::<Vec<_>>().join("\n"));
    for (name, cached) in outcome.steps() {
        facts.put(format!("step[{name}]"), if cached { "cached" } else { "executed" });
    }
}

/// What the client wrote where it was told to.
fn results(out: &Path, layers: &mut Layers, facts: &mut Facts) -> Result<()> {
    let mut paths: Vec<_> = fs::read_dir(out)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>())
        .context("cannot list results")?;
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let prefix = format!("out/{name}");
        if path.is_dir() {
            facts.append(&prefix, tree::of_directory(&path)?);
        } else if name.ends_with(".tar") {
            let content = fs::read(&path).context("cannot read results")?;
            let archive = image::unpack(&*content)?;
            let found = match image::is_image(&archive) {
                true => image::facts(&archive, layers)?,
                false => tree::of_archive(&content)?,
            };
            facts.append(&prefix, found);
        } else {
            facts.put(&prefix, fs::read_to_string(&path).context("cannot read results")?);
        }
    }
    Ok(())
}
