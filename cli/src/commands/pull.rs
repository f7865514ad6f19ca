//! `ci-build pull`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;

use super::format::Format;
use super::progress::Progress;
use super::sources::{MirrorArguments, PatienceArguments};
use super::store::DockerStore;
use super::{block_on, document, duration, print_line, size};
use crate::engine::{Endpoint, Engine};
use crate::error::{Blame, Explain, Failure};
use crate::journal::{EngineAt, Journal};
use crate::pull::{self, How, Notice, Policy, Pulled, Room, Wish};
use crate::registry::{Dated, Exhausted, Platform, Reference, Retry, Sources, Target, Watch, chain};
use crate::store::{self, Identity, Patience, Term, job};
use crate::switch;

const EXAMPLES: &str = "\
Examples:
  ci-build pull debian:12 golang:1.25
  ci-build pull --fresh registry.example/app:main
  ci-build pull --mirror docker.io=http://10.0.0.5:5000 debian:12
  docker run \"$(ci-build pull --latest 'rocm/sgl-dev:v0.5-{date:%Y%m%d}' --days 7)\"

First the engine itself is asked, then each mirror that is configured for the image, then its own \
registry. The image is leased to the job, as with `ci-build lease add`.

  [[mirror]]                       # in ci-build.toml or /etc/ci-build.toml
  registry = \"docker.io\"           # whose images it has
  prefix = \"rocm\"                  # only those below it; may be left out
  url = \"http://10.0.0.5:5000\"

A pull of one image is done once on a host: others that want it wait and find it done.";

/// How often the sources of a dated image are asked again for each day.
const RETRIES_A_DAY: u32 = 2;

/// Pull images from the nearest source that is quick enough: the engine, mirrors, their own registries
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Images
    #[arg(value_name = "REF", required_unless_present = "latest")]
    images: Vec<Reference>,
    /// The newest image of the last days, by a name with {date}, or {date:FORMAT} as of strftime (UTC); its name is
    /// printed on stdout
    #[arg(long, value_name = "NAME", conflicts_with = "images")]
    latest: Option<Dated>,
    /// How many days to go back, today being the first
    #[arg(long, value_name = "N", env = "CI_BUILD_DAYS", default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..))]
    days: u16,
    /// Let the image's own registry say what a tag means now, whatever the engine and the mirrors have
    #[arg(long, env = "CI_BUILD_FRESH", value_parser = switch::parse)]
    fresh: bool,
    /// The platform, such as linux/arm64 [default: the engine's]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,
    #[command(flatten)]
    mirrors: MirrorArguments,
    #[command(flatten)]
    patience: PatienceArguments,
    /// After this long an image is given up
    #[arg(long, value_name = "TIME", env = "CI_BUILD_DEADLINE", default_value = "1h", value_parser = duration::parse)]
    deadline: Duration,
    /// Where to keep what is on its way, up to the size of an image [default: with the locks]
    #[arg(long, value_name = "DIR", env = "CI_BUILD_SPOOL")]
    spool: Option<PathBuf>,
    /// How long to wait for the store, which somebody may have alone
    #[arg(long, value_name = "TIME", env = "CI_BUILD_WAIT", default_value = "1h", value_parser = duration::parse)]
    wait: Duration,
    /// Lease the image for this time, and not for as long as the job
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    ttl: Option<Duration>,
    #[command(flatten)]
    store: DockerStore,
    /// How to tell what was done: people on stderr, scripts on stdout
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Why there is nothing to pull.
#[derive(Debug, thiserror::Error)]
enum Missing {
    #[error("there is no '{pattern}' of the last {days} days{}", causes(.last))]
    Latest { pattern: Dated, days: u16, last: Option<Exhausted> },
    #[error("'{0}' is no image's name")]
    Name(String),
}

fn causes(last: &Option<Exhausted>) -> String {
    last.as_ref().map(|last| format!(": {last}")).unwrap_or_default()
}

impl Explain for Missing {
    fn blame(&self) -> Blame {
        match self {
            Self::Latest { .. } => Blame::Surroundings,
            Self::Name(_) => Blame::Input,
        }
    }
    fn help(&self) -> Vec<String> {
        match self {
            Self::Latest { .. } => vec!["--days goes back further".into()],
            Self::Name(_) => vec!["write it as repo:tag-{date:%Y%m%d}".into()],
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let policy = Policy {
        mirrors: arguments.mirrors.mirrors()?,
        limits: arguments.mirrors.limits(),
        patient: arguments.patience.limits(),
        retry: arguments.patience.retry(),
        deadline: arguments.deadline,
        spool: arguments.spool.clone(),
    };
    let endpoint = Endpoint::of_this_process()?;
    let store = arguments.store.open()?;
    let told = |notice: store::Notice| super::lock::tell(store.identity(), notice, std::time::Instant::now());
    let command: Vec<_> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let patience = Patience { wait: arguments.wait, polite: Duration::ZERO };
    let _shared = store.share(&command.join(" "), patience, told)?;
    block_on(async {
        let engine = Engine::connect(&endpoint).await?;
        let journal = Journal::open()?;
        let place = match store.identity() {
            Identity::Docker(id) => Some(id.clone()),
            // Another store's name says nothing of the engine.
            _ => engine.identity().await.ok(),
        };
        let place = place.map(|engine| EngineAt::Docker { address: endpoint.address.clone(), engine });
        let journal = place.as_ref().map(|place| (&journal, place));
        let room = Room { engine: &engine, store: &store, term: term(arguments.ttl), journal };
        let images = match &arguments.latest {
            Some(pattern) => vec![latest(&engine, pattern, arguments, &policy).await?],
            None => arguments.images.clone(),
        };
        let mut pulled = Vec::new();
        for image in images {
            let wish = Wish { image, platform: arguments.platform.clone(), is_fresh: arguments.fresh };
            let done = one(&room, &wish, &policy).await?;
            pulled.push((wish.image, done));
        }
        show(arguments, &pulled)
    })?
}

async fn one(room: &Room<'_>, wish: &Wish, policy: &Policy) -> Result<Pulled, Failure> {
    let (progress, image) = (Progress::new(), &wish.image);
    let tell = |notice: Notice<'_>| {
        let line = match notice {
            Notice::Resolved(digest, source) => format!("{image} is {digest}, says {source}"),
            Notice::Waits => format!("{image}: another process pulls it, waiting"),
            Notice::Loads => format!("{image}: the engine cannot reach us, so the image is loaded into it"),
        };
        progress.line(&line);
    };
    let pulled = pull::pull(room, wish, policy, progress.watch(), &tell).await?;
    let how = match &pulled.how {
        How::Local => "the engine has it".to_owned(),
        How::Present => "the engine has its content".to_owned(),
        How::Fetched(from) => format!("from {}, {}", from.join(" and "), size::shown(progress.bytes())),
    };
    progress.line(&format!("{image}: {how}"));
    for (source, allowance) in &pulled.allowances {
        // Who is close to a limit wants to know before the next job meets it.
        if allowance.of.is_some_and(|of| allowance.left * 10 <= of) {
            progress.line(&format!("warning: {source} allows only {} more pulls", allowance.left));
        }
    }
    Ok(pulled)
}

/// The newest image of such a name that the engine or a source has.
async fn latest(
    engine: &Engine,
    pattern: &Dated,
    arguments: &Arguments,
    policy: &Policy,
) -> Result<Reference, Failure> {
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let retry = Retry { times: policy.retry.times.min(RETRIES_A_DAY), ..policy.retry };
    let mut last = None;
    for name in pattern.days(today, arguments.days) {
        let image: Reference = name.parse().map_err(|_| Missing::Name(name.clone()))?;
        let Target::Tag(tag) = image.target() else { return Err(Missing::Name(name).into()) };
        if !arguments.fresh && engine.find_image(&name).await?.is_some() {
            return Ok(image);
        }
        let chain = chain(&image, &policy.mirrors, policy.limits, policy.patient);
        let sources = Sources::new(chain, retry, Watch::new(|_| {}));
        match sources.resolve(tag, arguments.fresh).await {
            Ok(_) => return Ok(image),
            Err(exhausted) => {
                for tried in exhausted.tried.iter().filter(|tried| !tried.failure.is_absence()) {
                    anstream::eprintln!("warning: {name}: {}: {}", tried.source, tried.failure);
                }
                last = Some(exhausted);
            }
        }
    }
    Err(Missing::Latest { pattern: pattern.clone(), days: arguments.days, last }.into())
}

fn term(ttl: Option<Duration>) -> Option<Term> {
    let term = match ttl {
        Some(ttl) => Some(Term::Until(Timestamp::now() + ttl)),
        None => job::process().map(Term::Owner),
    };
    if term.is_none() {
        anstream::eprintln!("warning: cannot tell which process the lease should end with, so there is none");
        anstream::eprintln!("  help: give --ttl TIME");
    }
    term
}

fn show(arguments: &Arguments, pulled: &[(Reference, Pulled)]) -> Result<(), Failure> {
    match arguments.format {
        Format::Text => {
            let chosen = pulled.first().filter(|_| arguments.latest.is_some());
            chosen.map_or(Ok(()), |(image, _)| print_line(image))
        }
        Format::Json => {
            let image = |(image, Pulled { id, digest, how, .. }): &(Reference, Pulled)| {
                let from = match how {
                    How::Local | How::Present => [].as_slice(),
                    How::Fetched(from) => from.as_slice(),
                };
                json!({
                    "reference": image.to_string(),
                    "id": id,
                    "digest": digest.as_ref().map(ToString::to_string),
                    "how": how.word(),
                    "from": from,
                })
            };
            let images = pulled.iter().map(image).collect();
            print_line(document(vec![("images", images)]))
        }
    }
}
