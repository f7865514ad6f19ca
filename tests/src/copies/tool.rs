//! Who copies.

use std::fmt;
use std::net::SocketAddrV4;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use xtask::{artifacts, command, peers};

use super::image::NAME;

/// One of the tools.
#[derive(Debug)]
pub(super) struct Tool {
    pub(super) name: &'static str,
    pub(super) version: String,
    program: Command,
    arguments: fn(&str, &str) -> Vec<String>,
}

/// What a copy takes.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Usage {
    /// Seconds.
    pub(super) wall: f64,
    /// Seconds of the processor, the kernel's among them.
    pub(super) cpu: f64,
    /// The most memory, in bytes.
    pub(super) memory: u64,
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} s wall, {:.2} s cpu, {} MiB", self.wall, self.cpu, self.memory >> 20)
    }
}

impl Tool {
    /// Ours first.
    pub(super) fn all() -> Result<Vec<Self>> {
        let ours = |from: &str, to: &str| vec!["mirror".into(), from.into(), to.into()];
        let skopeo = |from: &str, to: &str| {
            let insecure = ["--src-tls-verify=false", "--dest-tls-verify=false", "--insecure-policy"];
            let mut words: Vec<String> = vec!["copy".into(), "--preserve-digests".into()];
            words.extend(insecure.map(Into::into));
            words.extend([from, to].map(|name| format!("docker://{name}")));
            words
        };
        let crane = |from: &str, to: &str| vec!["copy".into(), "--insecure".into(), from.into(), to.into()];
        Ok(vec![
            Self::new("ci-build", Command::new(artifacts::release_command()?), "--version", ours)?,
            Self::new("skopeo", peers::skopeo()?, "--version", skopeo)?,
            Self::new("crane", peers::crane()?, "version", crane)?,
        ])
    }

    fn new(
        name: &'static str,
        program: Command,
        version: &str,
        arguments: fn(&str, &str) -> Vec<String>,
    ) -> Result<Self> {
        let mut asked = again(&program);
        let version = command::output(asked.arg(version))?.trim().to_owned();
        Ok(Self { name, version, program, arguments })
    }

    /// Copies, and tells what it took, by GNU time.
    pub(super) fn copy(&self, from: SocketAddrV4, to: SocketAddrV4) -> Result<Usage> {
        let [from, to] = [from, to].map(|registry| format!("{registry}/{NAME}:1"));
        let mut timed = Command::new("/usr/bin/time");
        timed.args(["--format", "measured %e %U %S %M"]).arg(self.program.get_program());
        timed.args((self.arguments)(&from, &to)).stdin(Stdio::null());
        for (name, value) in self.program.get_envs() {
            if let Some(value) = value {
                timed.env(name, value);
            }
        }
        let output = timed.output().context("cannot run /usr/bin/time")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{} did not copy: {said}", self.name);
        let line = said.lines().rev().find_map(|line| line.strip_prefix("measured "));
        let numbers: Vec<f64> = line
            .context("time told nothing")?
            .split(' ')
            .map(|number| number.parse().context("time told no number"))
            .collect::<Result<_>>()?;
        let [wall, user, system, kib] = numbers.as_slice() else { anyhow::bail!("time told {numbers:?}") };
        Ok(Usage { wall: *wall, cpu: user + system, memory: (*kib as u64) << 10 })
    }
}

fn again(program: &Command) -> Command {
    let mut command = Command::new(program.get_program());
    for (name, value) in program.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command
}
