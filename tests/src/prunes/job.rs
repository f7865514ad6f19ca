//! The jobs of the laboratory: what CI does with images, in several steps with gaps between them.

use std::net::SocketAddrV4;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use xtask::client::Client;
use xtask::images::BUSYBOX;

/// One kind of job.
#[derive(Debug)]
pub struct Kind {
    /// What the results call it.
    pub name: &'static str,
    /// Which images it needs from its first step to its last.
    images: &'static [&'static str],
    /// Its steps, for a shell. `$R` is the registry, `$V` one of [`VARIETIES`], `$BASE` an image with a shell.
    steps: &'static str,
}

/// How many different images there are of a kind: a job often makes, or pulls, what another made before.
pub const VARIETIES: usize = 20;

/// Bytes of the image of the last kind, and how many of those there are.
pub const BIG: (usize, usize) = (600_000_000, 2);

/// The kinds of facts that were known to fail beside a prune.
pub const KINDS: [Kind; 5] = [
    Kind {
        name: "pull then run",
        images: &["$R/small:$V"],
        steps: "docker pull --quiet $R/small:$V && docker run --rm $R/small:$V true",
    },
    Kind {
        name: "build then run",
        images: &["job/run:$V"],
        steps: "printf \"FROM $BASE\\nRUN echo run $V > /v\\n\" | docker buildx build --quiet --tag job/run:$V - && \
            docker run --rm job/run:$V true",
    },
    Kind {
        name: "build then push",
        images: &["$R/pushed:$V"],
        steps: "printf \"FROM $BASE\\nRUN echo push $V > /v\\n\" | docker buildx build --quiet --tag $R/pushed:$V - && \
            docker push --quiet $R/pushed:$V",
    },
    Kind {
        name: "base then FROM it",
        images: &["job/base:$V", "job/derived:$V"],
        steps: "printf \"FROM $BASE\\nRUN echo base $V > /v\\n\" | docker buildx build --quiet --tag job/base:$V - && \
            printf \"FROM job/base:$V\\nRUN echo derived > /w\\n\" | docker buildx build --quiet --tag job/derived:$V -",
    },
    Kind { name: "pull of 600 MB", images: &["$R/big:$V"], steps: "docker pull --quiet $R/big:$V" },
];

/// What jobs run with.
#[derive(Debug)]
pub struct Site<'a> {
    /// What talks to the engine.
    pub client: &'a Client,
    /// The host command.
    pub command: &'a Path,
    /// The directory of its state.
    pub state: &'a Path,
    /// Where images are pulled from and pushed to.
    pub registry: SocketAddrV4,
}

impl Site<'_> {
    /// A program that finds the engine, the state, and the host command.
    #[must_use]
    pub fn set_up(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = self.client.set_up(Command::new(program));
        command.env("CI_BUILD_STATE_DIR", self.state).env("CI_BUILD", self.command);
        command.env("R", self.registry.to_string()).env("BASE", BUSYBOX);
        command.stdin(Stdio::null());
        command
    }

    /// The host command with these arguments.
    #[must_use]
    pub fn ci_build(&self, arguments: &[&str]) -> Command {
        let mut command = self.set_up(self.command);
        command.args(arguments);
        command
    }

    /// Runs one job, with a lease from before its first step until its end. None if it went well, else what it said last.
    ///
    /// # Errors
    /// When there is no shell.
    pub fn run(&self, kind: &Kind, number: usize) -> Result<Option<String>> {
        let varieties = if kind.name == KINDS[4].name { BIG.1 } else { VARIETIES };
        let line = format!(
            "\"$CI_BUILD\" lease add --ahead --owner $$ {} && {{ {}; }}",
            kind.images.join(" "),
            kind.steps
        );
        // An engine that hangs fails the job.
        let mut shell = self.set_up("timeout");
        shell.env("V", (number % varieties).to_string()).args(["600", "sh", "-c", &line]);
        let output = shell.output().context("cannot run a shell")?;
        Ok((!output.status.success()).then(|| last_lines(&output.stderr)))
    }
}

/// The end of what a program said, on one line.
#[must_use]
pub fn last_lines(written: &[u8]) -> String {
    const LINES: usize = 3;
    let text = String::from_utf8_lossy(written);
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let text = lines[lines.len().saturating_sub(LINES)..].join(" / ");
    without_search(&text).chars().take(400).collect()
}

/// Without where else an engine looked for an image that it has not: that tells of the machine's network alone.
fn without_search(text: &str) -> &str {
    let ends = [": failed to do request", " Get \"http", ": dial tcp"]
        .into_iter()
        .filter_map(|begin| text.find(begin));
    ends.min().map_or(text, |end| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_network_is_not_told() {
        let said = last_lines(b"#1 x\nError response from daemon: Get \"https://r.example/v2/\": dial tcp: lookup r.example on 10.0.0.1:53");
        assert_eq!(said, "#1 x / Error response from daemon:");
        assert_eq!(last_lines(b"No such image: a"), "No such image: a");
    }
}
