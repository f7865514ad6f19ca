//! `ci-build prune`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use jiff::Timestamp;
use tracing::field::Empty;
use tracing::{Instrument as _, Span, info};

use super::format::{Format, Shown};
use super::{block_on, duration, print_line, size};
use crate::disk::Space;
use crate::engine::{self, Endpoint, Engine, Info};
use crate::error::{Blame, Explain, Failure};
use crate::prune::execute::{Executor, Outcome, Room};
use crate::prune::inventory;
use crate::prune::report::{Entry, Report, STORE_IN_USE};
use crate::prune::{CacheSettings, Inventory, Limits, Pattern, Settings, Verdict, choose};
use crate::store::{self, Identity, LastPrune, Store};
use crate::switch;

const EXAMPLES: &str = "\
Examples:
  ci-build prune --dry-run
  ci-build prune --older-than 72h --disk-high 70 --disk-low 60 --keep debian --keep '*:stable'
  ci-build prune --repository 'registry.example/ci/*' --dangling
  ci-build prune --build-cache --cache-mount '/root/.cache/*' --older-than 7d

What was not used for --older-than goes. If the disk is fuller than --disk-high, what was used least recently goes \
too, until it is no fuller than --disk-low. Images that are leased, have containers, match --keep, or were used or \
came within --grace stay in any case.

Exit codes: 0 fine, or another prune is at work; 1 something could not be deleted; 2 wrong usage; \
75 gave up waiting; 125 the engine was lost, or our own failure";

/// Delete images that nobody needs, one at a time, without breaking what runs
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Delete what was not used for this long
    #[arg(long, value_name = "TIME", env = "CI_BUILD_PRUNE_OLDER_THAN", default_value = "72h", value_parser = duration::parse)]
    older_than: Duration,
    /// Leave alone what was used, or came, within this time
    #[arg(long, value_name = "TIME", env = "CI_BUILD_PRUNE_GRACE", default_value = "10m", value_parser = duration::parse)]
    grace: Duration,
    /// Make room when the engine's disk is fuller than this
    #[arg(long, value_name = "PERCENT", env = "CI_BUILD_PRUNE_DISK_HIGH", default_value = "70", value_parser = percent())]
    disk_high: u8,
    /// Make room until the engine's disk is no fuller than this
    #[arg(long, value_name = "PERCENT", env = "CI_BUILD_PRUNE_DISK_LOW", default_value = "60", value_parser = percent())]
    disk_low: u8,
    /// As --disk-high, for inodes
    #[arg(long, value_name = "PERCENT", env = "CI_BUILD_PRUNE_INODES_HIGH", default_value = "90", value_parser = percent())]
    inodes_high: u8,
    /// As --disk-low, for inodes
    #[arg(long, value_name = "PERCENT", env = "CI_BUILD_PRUNE_INODES_LOW", default_value = "80", value_parser = percent())]
    inodes_low: u8,
    /// Look at the disk of this directory [default: the engine's root directory, where it is on this host]
    #[arg(long, value_name = "DIR", env = "CI_BUILD_PRUNE_DISK")]
    disk: Option<PathBuf>,
    /// Keep images of this name; * is any text, and without a tag it means all tags [repeatable]
    #[arg(long, value_name = "NAME", env = "CI_BUILD_PRUNE_KEEP", value_delimiter = ',')]
    keep: Vec<Pattern>,
    /// Delete only images all of whose names are such ones [repeatable; default: any]
    #[arg(long, value_name = "NAME", env = "CI_BUILD_PRUNE_REPOSITORY", value_delimiter = ',')]
    repository: Vec<Pattern>,
    /// Delete images without a name too
    #[arg(long, env = "CI_BUILD_PRUNE_DANGLING", value_parser = switch::parse)]
    dangling: bool,
    /// Delete containers too that ci-build made and that have ended
    #[arg(long, env = "CI_BUILD_PRUNE_CONTAINERS", value_parser = switch::parse)]
    containers: bool,
    /// Delete anonymous volumes too that no container has
    #[arg(long, env = "CI_BUILD_PRUNE_VOLUMES", value_parser = switch::parse)]
    volumes: bool,
    /// Delete networks too that no container has
    #[arg(long, env = "CI_BUILD_PRUNE_NETWORKS", value_parser = switch::parse)]
    networks: bool,
    /// Delete build cache too, by the same rules
    #[arg(long, env = "CI_BUILD_PRUNE_BUILD_CACHE", value_parser = switch::parse)]
    build_cache: bool,
    /// Of the build cache, delete only cache mounts with such an id [repeatable]
    #[arg(
        long,
        value_name = "ID",
        env = "CI_BUILD_PRUNE_CACHE_MOUNT",
        value_delimiter = ',',
        requires = "build_cache"
    )]
    cache_mount: Vec<Pattern>,
    /// Delete build cache, the least recently used first, until it has no more than this
    #[arg(long, value_name = "SIZE", env = "CI_BUILD_PRUNE_BUILD_CACHE_SIZE", value_parser = size::parse, requires = "build_cache")]
    build_cache_size: Option<u64>,
    /// Delete nothing, and say what would go, what would stay, and why
    #[arg(long)]
    dry_run: bool,
    /// How long to wait for those who add leases
    #[arg(long, value_name = "TIME", env = "CI_BUILD_WAIT", default_value = "1h", value_parser = duration::parse)]
    wait: Duration,
    #[command(flatten)]
    shown: Shown,
    /// Keep locks and records under this name [default: under the engine's identity]
    #[arg(long, value_name = "NAME", env = "CI_BUILD_STORE")]
    store: Option<Identity>,
}

/// An engine tells what it is within this time.
const PATIENCE: Duration = Duration::from_secs(60);

fn percent() -> clap::builder::RangedI64ValueParser<u8> {
    clap::value_parser!(u8).range(0..=100)
}

/// Limits that make no sense together.
#[derive(Debug, thiserror::Error)]
enum Usage {
    #[error("--{name}-low {low} is above --{name}-high {high}, so no room would be made")]
    Limits { name: &'static str, low: u8, high: u8 },
    #[error("--grace {} is longer than --older-than {}, so nothing old would go", crate::lapse::shown(*grace), crate::lapse::shown(*older_than))]
    Grace { grace: Duration, older_than: Duration },
    #[error("cannot look at the disk of '{}'", directory.display())]
    Disk { directory: PathBuf, source: std::io::Error },
}

impl Explain for Usage {
    fn blame(&self) -> Blame {
        Blame::Input
    }
    fn help(&self) -> Vec<String> {
        vec![match self {
            Self::Limits { name, low, .. } => format!("swap them, or give --{name}-high more than {low}"),
            Self::Grace { older_than, .. } => {
                format!("give --grace {} or less", crate::lapse::shown(*older_than))
            }
            Self::Disk { .. } => "--disk names a directory on the engine's disk".into(),
        }]
    }
}

impl Explain for inventory::Error {
    fn blame(&self) -> Blame {
        match self {
            Self::Engine(error) => error.blame(),
            Self::Store(error) => error.blame(),
        }
    }
    fn help(&self) -> Vec<String> {
        match self {
            Self::Engine(error) => error.help(),
            Self::Store(error) => error.help(),
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let (settings, limits) = (arguments.settings()?, arguments.limits()?);
    let endpoint = Endpoint::of_this_process()?;
    block_on(async {
        let (engine, info) = Engine::look(&endpoint, PATIENCE).await?;
        let identity = match (&arguments.store, &info.id) {
            (Some(name), _) => name.clone(),
            (None, Some(id)) => Identity::Docker(id.clone()),
            (None, None) => return Err(engine::Error::Nameless(endpoint.clone()).into()),
        };
        let store = Store::open(identity)?;
        let room = Room { directory: arguments.disk(&info)?, limits };
        let span = tracing::info_span!(
            "prune",
            store = %store.identity(),
            outcome = Empty,
            deleted = Empty,
            failures = Empty,
            freed_bytes = Empty
        );
        let pruned = prune(arguments, settings, &engine, &info, &store, &room).instrument(span.clone()).await;
        if pruned.is_err() {
            span.record("outcome", "failed");
        }
        pruned
    })?
}

async fn prune(
    arguments: &Arguments,
    settings: Settings,
    engine: &Engine,
    info: &Info,
    store: &Store,
    room: &Room,
) -> Result<ExitCode, Failure> {
    let begin = Instant::now();
    let mut report = Report::new(store.identity().to_string(), arguments.dry_run);
    // Whoever only looks need not be alone.
    let alone = if arguments.dry_run { None } else { store.prune_alone()? };
    if alone.is_none() && !arguments.dry_run {
        report.skipped = true;
        Span::current().record("outcome", "skipped");
        return arguments.show(&report, "another prune is at work: skipped");
    }
    let (mut inventory, ages) = Inventory::look(engine, store, &settings).await?;
    report.ages = ages.word();
    ages.note().iter().for_each(|text| note(text));
    let before = room.disk();
    if before.is_none() {
        note(
            "the engine's disk cannot be seen from here: only what is old goes; --disk names a directory on it",
        );
    }
    let pressure = room.pressure();
    let mut decisions = choose::choose(&inventory, &settings, pressure.is_any());
    if arguments.dry_run {
        inventory.look_closer(engine, &decisions).await?;
        decisions = choose::choose(&inventory, &settings, pressure.is_any());
    }
    let mut tell = |entry: Entry| {
        if arguments.shown.format == Format::Text && (arguments.dry_run || entry.action != "stays") {
            // Whoever stopped reading still wants the disk to be freed.
            let _ = print_line(entry.line(inventory.now));
        }
        match entry.action {
            "deleted" => {
                info!(kind = entry.kind, id = entry.id, "deleted");
                report.deleted += 1;
            }
            "failed" => {
                info!(kind = entry.kind, id = entry.id, "failed");
                report.failed += 1;
            }
            _ => {}
        }
        report.things.push(entry);
    };
    let mut failure = None;
    if arguments.dry_run {
        decisions.iter().for_each(|decision| tell(Entry::new(&inventory, decision, None)));
    } else {
        let written = inventory.remember(&store.last_uses()?, settings.grace.try_into().unwrap_or_default());
        unless_full(written, "which images are new")?;
        let stays = decisions.iter().filter(|decision| matches!(decision.verdict, Verdict::Stays(_)));
        stays.for_each(|decision| tell(Entry::new(&inventory, decision, None)));
        let mut executor = Executor::new(engine, store, &inventory, &settings, room, pressure)?;
        executor.wait = arguments.wait;
        executor.is_fragile = is_fragile(&info.version);
        let tell = |decision: &_, outcome: Outcome| tell(Entry::new(&inventory, decision, Some(&outcome)));
        failure = executor.run(&decisions, tell).await.err().map(Failure::from);
        if report.things.iter().any(|thing| thing.cause == STORE_IN_USE) {
            note("build cache stays: a prune beside a build ends this engine, and the store is in use");
        }
    }
    report.set_disk(before, room.disk());
    report.seconds = begin.elapsed().as_secs_f64();
    report.error = failure.as_ref().map(ToString::to_string);
    Span::current()
        .record("outcome", if arguments.dry_run { "dry-run" } else { "done" })
        .record("deleted", report.deleted)
        .record("failures", report.failed)
        .record("freed_bytes", report.freed_bytes.filter(|_| !arguments.dry_run));
    if !arguments.dry_run {
        let written = store.set_last_prune(&LastPrune {
            when: Timestamp::now(),
            freed_bytes: report.freed_bytes.and_then(|bytes| bytes.try_into().ok()).unwrap_or(0),
            removed: report.deleted,
            failed: report.failed,
        });
        unless_full(written, "what was deleted")?;
    }
    let code = arguments.show(&report, &report.summary())?;
    failure.map_or(Ok(code), Err)
}

/// Whether the engine's BuildKit is that of Docker 20.10 or before, which dies of a prune beside a build (docs/prune.md).
fn is_fragile(version: &str) -> bool {
    version.split('.').next().and_then(|major| major.parse().ok()).is_some_and(|major: u32| major < 23)
}

/// Whoever frees a full disk needs no room on it: what could not be written down is told of.
fn unless_full(written: Result<(), store::Error>, what: &str) -> Result<(), store::Error> {
    match written {
        Err(error) if error.is_full_disk() => {
            anstream::eprintln!("warning: the disk is full, so it is not written down {what}");
            Ok(())
        }
        written => written,
    }
}

fn note(text: &str) {
    anstream::eprintln!("note: {text}");
}

impl Arguments {
    fn settings(&self) -> Result<Settings, Usage> {
        let Self { older_than, grace, .. } = *self;
        if grace > older_than {
            return Err(Usage::Grace { grace, older_than });
        }
        let cache = CacheSettings { mounts: self.cache_mount.clone(), max_size: self.build_cache_size };
        Ok(Settings {
            older_than,
            grace,
            keep: self.keep.clone(),
            repositories: self.repository.clone(),
            dangling: self.dangling,
            containers: self.containers,
            volumes: self.volumes,
            networks: self.networks,
            build_cache: self.build_cache.then_some(cache),
        })
    }

    fn limits(&self) -> Result<Limits, Usage> {
        let Self { disk_high, disk_low, inodes_high, inodes_low, .. } = *self;
        for (name, low, high) in [("disk", disk_low, disk_high), ("inodes", inodes_low, inodes_high)] {
            if low > high {
                return Err(Usage::Limits { name, low, high });
            }
        }
        Ok(Limits { high: disk_high, low: disk_low, inodes_high, inodes_low })
    }

    /// A directory on the engine's disk: the one that is named must be there, the engine's own may be on another host.
    fn disk(&self, info: &Info) -> Result<Option<PathBuf>, Usage> {
        if let Some(directory) = &self.disk {
            let look = Space::of(directory);
            look.map_err(|source| Usage::Disk { directory: directory.clone(), source })?;
            return Ok(Some(directory.clone()));
        }
        let root = info.root.clone().filter(|_| info.is_local);
        Ok(root.filter(|root| Space::of(root).is_ok()))
    }

    fn show(&self, report: &Report, line: &str) -> Result<ExitCode, Failure> {
        match self.shown.format {
            Format::Text => print_line(line)?,
            Format::Json => print_line(serde_json::to_string(report).unwrap_or_default())?,
        }
        Ok(if report.failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}
