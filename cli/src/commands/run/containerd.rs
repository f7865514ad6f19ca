//! `ci-build run --containerd`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use tracing::field::Empty;

use super::Nobody;
use crate::commands::bounds::Bounds;
use crate::commands::{event_loop, lock, recover, tell_why};
use crate::engine::containerd::{Address, Containerd, DEFAULT, Namespace, VARIABLE, is_identifier};
use crate::error::Failure;
use crate::failpoint;
use crate::journal::{EngineAt, Journal, Owner, Record};
use crate::process::{Ended, Vigil};
use crate::recover::Here;
use crate::run::containerd::{self, Asked, Options, Source, Volume};
use crate::store::{Identity, Store};

const EXAMPLES: &str = "\
Examples:
  ci-build run --containerd docker.io/library/debian:12 make test
  ci-build run --containerd --namespace k8s.io --timeout 10m -v \"$PWD:/src\" -w /src golang:1.25 go test ./...
  ci-build run --containerd --archive image.tar -- make test

--containerd stands first. The options are docker's where they have its names; there are no others of docker's. The container has no \
network, or with --net host the host's. The container, its snapshot and its lease go with this command, however it ends; \
`ci-build recover`, or the next run, removes what it could not.

Exit codes: the container's (126 and 127 as docker has them, 128 + n for signal n), 75 gave up waiting for the lock, 2 wrong \
usage, 125 our own failure";

/// Run a container on a containerd without docker, which leaves nothing however it ends
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[command(override_usage = "ci-build run --containerd [OPTIONS] IMAGE [COMMAND]…\n       \
    ci-build run --containerd [OPTIONS] --archive FILE -- [COMMAND]…")]
pub(crate) struct Arguments {
    /// The socket of containerd
    #[arg(long, value_name = "PATH", env = VARIABLE, default_value = DEFAULT)]
    address: Address,
    /// Where in containerd the image is and the container is made
    #[arg(long, value_name = "NAME", env = "CONTAINERD_NAMESPACE", default_value = "default")]
    namespace: Namespace,
    /// What makes its snapshot
    #[arg(long, value_name = "NAME", env = "CONTAINERD_SNAPSHOTTER", default_value = "overlayfs")]
    snapshotter: String,
    /// Run the image in this OCI archive, which containerd has for as long as the container
    #[arg(long, value_name = "FILE")]
    archive: Option<PathBuf>,
    /// Set a variable; without a value, to ours
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Run in this directory
    #[arg(short, long, value_name = "DIR", value_parser = absolute)]
    workdir: Option<String>,
    /// Run as this user
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Show a file or directory of the host's in the container
    #[arg(short, long = "volume", value_name = "HOST:DIR[:ro]", value_parser = volume)]
    volumes: Vec<Volume>,
    /// Have a directory in memory
    #[arg(long, value_name = "DIR", value_parser = absolute)]
    tmpfs: Vec<String>,
    /// What the container's host is called [default: as the container]
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
    /// Which network it has
    #[arg(long, visible_alias = "network", value_enum, default_value_t = Network::None)]
    net: Network,
    /// Have a terminal
    #[arg(short, long)]
    tty: bool,
    /// Have our standard input
    #[arg(short, long)]
    interactive: bool,
    /// What the container is called [default: ci-build- and the name of its record]
    #[arg(long, value_name = "NAME", value_parser = identifier)]
    name: Option<String>,
    /// Label the container
    #[arg(short, long = "label", value_name = "NAME=VALUE")]
    labels: Vec<String>,
    /// Do not let it write to its root
    #[arg(long)]
    read_only: bool,
    /// Run this, not what the image says
    #[arg(long, value_name = "PROGRAM")]
    entrypoint: Option<String>,
    /// Remove it when it has ended, which is so in any case
    #[arg(long, hide = true)]
    rm: bool,
    #[command(flatten)]
    bounds: Bounds,
    /// A store by its name, whose lock is taken [default: the namespace of this containerd]
    #[arg(long, value_name = "NAME", env = "CI_BUILD_STORE")]
    store: Option<Identity>,
    /// The image, unless --archive has it, and what runs in it
    #[arg(value_name = "IMAGE [COMMAND]", trailing_var_arg = true)]
    words: Vec<String>,
}

/// Which network a container has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Network {
    /// None but its own loopback
    None,
    /// The host's
    Host,
}

fn absolute(text: &str) -> Result<String, String> {
    if text.starts_with('/') { Ok(text.into()) } else { Err("it has to start with /".into()) }
}

fn identifier(text: &str) -> Result<String, String> {
    let why = "a name has 1 to 76 letters and digits, with single '.', '_' and '-' between them";
    if is_identifier(text) { Ok(text.into()) } else { Err(why.into()) }
}

fn volume(text: &str) -> Result<Volume, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, read_only) = match parts[..] {
        [source, target] | [source, target, "rw"] => (source, target, false),
        [source, target, "ro"] => (source, target, true),
        _ => return Err("write it as HOST:DIR or HOST:DIR:ro; anonymous volumes are docker's".into()),
    };
    Ok(Volume { source: source.into(), target: absolute(target)?, read_only })
}

pub(in crate::commands) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    failpoint::reach("run.asked");
    let asked = arguments.asked()?;
    let vigil = Vigil::keep(asked.limits.owner, "the container")?;
    let Arguments { address, namespace, bounds, store, .. } = arguments;
    let shown = format!("{} {}", asked.source, asked.words.join(" "));
    let shown = format!("containerd run {}", shown.trim());
    let journal = Journal::open()?;
    let events = event_loop()?;
    let (engine, server) = events.block_on(async {
        let engine = Containerd::connect(address, namespace).await?;
        let server = engine.server().await?;
        Ok::<_, crate::engine::containerd::Error>((engine, server))
    })?;
    let place = EngineAt::Containerd {
        address: address.to_string(),
        server: server.clone(),
        namespace: namespace.to_string(),
    };
    if !bounds.no_recover {
        let here = Here::Containerd { engine: &engine, server: &server };
        events.block_on(recover::first(&journal, here, recover::FIRST));
    }
    failpoint::reach("run.recovered");

    let store = Store::open(store.clone().unwrap_or_else(|| place.store()))?;
    let started = Instant::now();
    let _guard =
        store.share(&shown, bounds.patience(), |notice| lock::tell(store.identity(), notice, started))?;
    failpoint::reach("run.locked");
    let scratch = store.scratch()?;
    let owner = Owner::this().ok_or(Nobody)?;
    let entry = journal.intend(Record::new(place, owner.clone(), &shown))?;
    failpoint::reach("run.intended");
    let span = tracing::info_span!("run", exit_code = Empty, outcome = Empty);
    drop(vigil);
    let run = containerd::run(&engine, &asked, &owner, scratch.path(), entry);
    let outcome = span.in_scope(|| events.block_on(run))?;
    match outcome.code {
        Ok(code) => {
            let ended = Ended { code, stopped: outcome.stopped };
            span.record("exit_code", code).record("outcome", ended.word())
        }
        Err(_) => span.record("outcome", "not-started"),
    };
    tell_why(outcome.stopped, bounds.timeout, "the container", "ran for");
    if let Some(reason) = outcome.left {
        super::left(&reason);
    }
    Ok(ExitCode::from(outcome.code?))
}

/// Something is said twice, or not at all.
#[derive(Debug, thiserror::Error)]
enum Unasked {
    #[error("neither an image nor --archive says what to run")]
    NoImage,
    #[error("a label is NAME=VALUE, and its name is not one of ours: '{0}'")]
    Label(String),
    #[error("cannot show '{path}' in the container")]
    Volume { path: String, source: std::io::Error },
}

impl crate::error::Explain for Unasked {
    fn blame(&self) -> crate::error::Blame {
        crate::error::Blame::Input
    }
    fn help(&self) -> Vec<String> {
        vec!["`ci-build run --containerd --help` has examples".into()]
    }
}

impl Arguments {
    fn asked(&self) -> Result<Asked, Unasked> {
        let mut words = self.words.iter().cloned();
        let source = match &self.archive {
            Some(path) => Source::Archive(path.clone()),
            None => Source::Engine(words.next().ok_or(Unasked::NoImage)?),
        };
        let label = |label: &String| match label.split_once('=') {
            Some((name, value)) if !name.starts_with("ci-build.") => Ok((name.to_owned(), value.to_owned())),
            _ => Err(Unasked::Label(label.clone())),
        };
        Ok(Asked {
            source,
            snapshotter: self.snapshotter.clone(),
            name: self.name.clone(),
            labels: self.labels.iter().map(label).collect::<Result<_, _>>()?,
            options: Options {
                env: self.env.iter().filter_map(|variable| set(variable)).collect(),
                workdir: self.workdir.clone(),
                user: self.user.clone(),
                volumes: self.volumes.iter().map(there).collect::<Result<_, _>>()?,
                tmpfs: self.tmpfs.clone(),
                hostname: self.hostname.clone(),
                host_network: self.net == Network::Host,
                tty: self.tty,
                read_only: self.read_only,
                entrypoint: self.entrypoint.clone(),
            },
            words: words.collect(),
            is_interactive: self.interactive,
            limits: self.bounds.limits(),
        })
    }
}

/// A volume by its whole path: the runtime would look for it elsewhere, and there has to be one.
fn there(volume: &Volume) -> Result<Volume, Unasked> {
    let refused = |source| Unasked::Volume { path: volume.source.clone(), source };
    let path = std::fs::canonicalize(&volume.source).map_err(refused)?.into_os_string().into_string();
    let source = path.map_err(|_| refused(std::io::Error::other("its path is no text")))?;
    Ok(Volume { source, ..volume.clone() })
}

/// A variable without a value is ours; none where we have none.
fn set(variable: &str) -> Option<String> {
    match variable.contains('=') {
        true => Some(variable.into()),
        false => std::env::var(variable).ok().map(|value| format!("{variable}={value}")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn asked(line: &str) -> Asked {
        let words = std::iter::once("x").chain(line.split_whitespace());
        Line::try_parse_from(words).unwrap().arguments.asked().unwrap()
    }

    #[test]
    fn what_stands_behind_the_image_is_the_containers() {
        let found = asked("-it --net host -v /:/host:ro -e A=1 -l a=b debian sh -c --timeout");
        assert_eq!(found.source, Source::Engine("debian".into()));
        assert_eq!(found.words, ["sh", "-c", "--timeout"]);
        assert!(found.is_interactive && found.options.tty && found.options.host_network);
        let root = Volume { source: "/".into(), target: "/host".into(), read_only: true };
        assert_eq!((found.options.volumes, found.labels["a"].as_str()), (vec![root], "b"));
        let found = asked("--archive a.tar -- make -j2");
        assert_eq!(
            (found.source, found.words.join(" ")),
            (Source::Archive("a.tar".into()), "make -j2".into())
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in ["-v /a", "-v /:b", "--workdir a b", "--name -a b", "--tmpfs a b"] {
            assert!(
                Line::try_parse_from(std::iter::once("x").chain(line.split_whitespace())).is_err(),
                "{line}"
            );
        }
        let refused = |line: &str| {
            let words = std::iter::once("x").chain(line.split_whitespace());
            Line::try_parse_from(words).unwrap().arguments.asked().unwrap_err().to_string()
        };
        insta::assert_snapshot!(refused("--tty"), @"neither an image nor --archive says what to run");
        insta::assert_snapshot!(refused("-v nowhere/at/all:/b a"), @"cannot show 'nowhere/at/all' in the container");
        insta::assert_snapshot!(refused("-l ci-build.run=1 a"), @"a label is NAME=VALUE, and its name is not one of ours: 'ci-build.run=1'");
    }
}
