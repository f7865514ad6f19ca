//! `cargo xtask engines`.

use std::{
    io::{self, Write},
    time::Instant,
};

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use xtask::engines::{self, Engine, Entry, Kind, Lifetime, Options};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Download and unpack engines; all of them when none is named
    Fetch {
        /// Which ones: docker-20.10, docker-26.1, docker-28.5, docker-28.5-containerd
        names: Vec<Kind>,
    },
    /// Start engines that run until they are stopped, and print what a shell needs to talk to each
    Start {
        /// Which ones, as for fetch
        #[arg(required = true)]
        names: Vec<Kind>,
    },
    /// Stop engines and remove all they have made; all that `start` has started when none is named
    Stop {
        /// Names as `list` shows them: of one engine, or of a kind for all its engines that `start` has started
        names: Vec<String>,
    },
    /// Show which engines there are and which run
    List,
}

impl Command {
    pub(crate) fn run(self) -> Result<()> {
        match self {
            Command::Fetch { names } => {
                let kinds = if names.is_empty() { Kind::ALL.to_vec() } else { names };
                kinds.into_iter().try_for_each(engines::fetch)
            }
            Command::Start { names } => names.into_iter().try_for_each(start),
            Command::Stop { names } => stop(&names),
            Command::List => print(&table(&engines::list()?)),
        }
    }
}

fn start(kind: Kind) -> Result<()> {
    let begin = Instant::now();
    let engine = engines::start(kind, Options { lifetime: Lifetime::Detached, ..Options::default() })?;
    print(&usage(&engine, begin.elapsed().as_secs_f32()))
}

/// What a shell can evaluate.
fn usage(engine: &Engine, seconds: f32) -> String {
    let name = engine.name();
    format!(
        "# {name}: Docker {} started in {seconds:.1} s, runs until `cargo xtask engines stop {name}`\n\
         export DOCKER_HOST={}\nexport DOCKER_CONFIG={}\nexport PATH={}:\"$PATH\"\n",
        engine.version(),
        quoted(engine.client().host()),
        quoted(&engine.client().config().to_string_lossy()),
        quoted(&engine.client().tools().to_string_lossy()),
    )
}

/// One word for a POSIX shell.
fn quoted(word: &str) -> String {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "/:.-_".contains(char);
    if word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

fn stop(names: &[String]) -> Result<()> {
    let entries = engines::list()?;
    let is_kind = |name: &String| name.parse::<Kind>().is_ok();
    for name in names.iter().filter(|name| !is_kind(name)) {
        engines::stop(name)?;
    }
    let kinds: Vec<Kind> = names.iter().filter_map(|name| name.parse().ok()).collect();
    let is_asked_for =
        |entry: &&Entry| entry.is_detached && (names.is_empty() || kinds.contains(&entry.kind));
    for kind in &kinds {
        if !entries.iter().any(|entry| entry.is_detached && entry.kind == *kind) {
            bail!("no {} runs that `cargo xtask engines start` has started", kind.name());
        }
    }
    for entry in entries.iter().filter(is_asked_for) {
        engines::stop(&entry.name)?;
    }
    engines::clean_up()
}

fn table(entries: &[Entry]) -> String {
    let header = ["NAME", "VERSION", "STATE", "SOCKET"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(header)
        .chain(entries.iter().map(|entry| {
            let socket = entry.socket.as_ref().map(|socket| socket.display().to_string()).unwrap_or_default();
            [entry.name.clone(), entry.version.clone(), entry.state.to_owned(), socket]
        }))
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let (name, version, state) = (width(0), width(1), width(2));
    rows.iter()
        .map(|row| format!("{:name$}  {:version$}  {:state$}  {}", row[0], row[1], row[2], row[3]))
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

fn print(text: &str) -> Result<()> {
    io::stdout().write_all(text.as_bytes()).context("cannot write to standard output")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_is_a_table() {
        let entry = |name: &str, state, socket: Option<&str>| Entry {
            name: name.to_owned(),
            kind: Kind::Docker28_5,
            version: "28.5.2".to_owned(),
            state,
            is_detached: false,
            socket: socket.map(Into::into),
        };
        let entries = [
            entry("docker-28.5", "fetched", None),
            entry(
                "docker-28.5-Ab3dEf",
                "running",
                Some("/target/engines/run/docker-28.5-Ab3dEf/docker.sock"),
            ),
        ];
        insta::assert_snapshot!(table(&entries), @r"
        NAME                VERSION  STATE    SOCKET
        docker-28.5         28.5.2   fetched
        docker-28.5-Ab3dEf  28.5.2   running  /target/engines/run/docker-28.5-Ab3dEf/docker.sock
        ");
    }

    #[test]
    fn words_are_quoted_only_where_a_shell_would_take_them_apart() {
        assert_eq!(quoted("unix:///a/b-c_d.sock"), "unix:///a/b-c_d.sock");
        assert_eq!(quoted("/it's here"), r"'/it'\''s here'");
    }
}
