//! `ci-build lease`.

use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::format::Shown;
use super::store::StoreArgument;
use super::{block_on, duration, print_line, status};
use crate::error::{Blame, Explain, Failure};
use crate::store::{Lease, Process, Quiet, Removed, Term, Whose, job};

const EXAMPLES: &str = "\
Examples:
  ci-build lease add registry.example/app:1.2
  ci-build lease list
  ci-build lease remove registry.example/app:1.2

`ci-build lease add --help` tells when a lease ends.";

const EXAMPLES_OF_LIST: &str = "\
Examples:
  ci-build lease list
  ci-build lease list --format json | jq '.leases[].image'";

const EXAMPLES_OF_REMOVE: &str = "\
Examples:
  ci-build lease remove registry.example/app:1.2
  ci-build lease remove --store nightly debian:12 golang:1.25
  ci-build lease remove --all debian:12

A job ends its own leases: those of its processes, and those with a time that are of its name and user.";

const EXAMPLES_OF_ADD: &str = "\
Examples:
  ci-build lease add registry.example/app:1.2
  ci-build lease add --ttl 2h debian:12 golang:1.25
  ci-build lease add --ahead \"$IMAGE\"    # before docker build --tag \"$IMAGE\" …
  ci-build lease add --owner $$ \"$IMAGE\"

A lease ends with its owner. Without --ttl and --owner that is the process of the CI job:
  GitHub Actions  Runner.Worker, the whole job
  GitLab          the shell that gitlab-runner started: before_script and script
  Buildkite       buildkite-agent bootstrap, the whole job
  Jenkins         one sh step; for more of a job give --ttl
  elsewhere       the leader of the session, else the calling process";

/// Say which images a job still needs, so that nothing deletes them
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// Need these images until the owner ends or the time is over
    #[command(after_help = EXAMPLES_OF_ADD)]
    Add(Add),
    /// Show which images are needed, by whom, until when
    #[command(after_help = EXAMPLES_OF_LIST)]
    List(Shown),
    /// Need these images no more
    #[command(after_help = EXAMPLES_OF_REMOVE)]
    Remove(Remove),
}

#[derive(Debug, Args)]
pub(crate) struct Add {
    /// Names, digests or ids of images that the engine has
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
    /// End after this time
    #[arg(long, value_name = "TIME", value_parser = duration::parse, conflicts_with = "owner")]
    ttl: Option<Duration>,
    /// End with the process of this pid
    #[arg(long, value_name = "PID")]
    owner: Option<u32>,
    /// Need images too that the engine does not have yet: what the job is about to pull or to build
    #[arg(long)]
    ahead: bool,
    /// How long to wait for the end of a deletion that is under way
    #[arg(long, value_name = "TIME", env = "CI_BUILD_WAIT", default_value = "1h", value_parser = duration::parse)]
    wait: Duration,
    #[command(flatten)]
    store: StoreArgument,
}

#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// Images as they were leased, or their ids
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
    /// End the leases of other jobs too
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    store: StoreArgument,
}

/// What is not there, so that there is no lease.
#[derive(Debug, thiserror::Error)]
enum Missing {
    #[error("no process has the pid {0}")]
    Process(u32),
    #[error("cannot tell which process the lease should end with")]
    Owner,
    #[error("the engine has no image '{0}'")]
    Image(String),
    #[error("no lease is for '{0}'")]
    Lease(String),
    #[error("no lease of this job is for '{image}', but {kept} of others {}", if *kept == 1 { "is" } else { "are" })]
    Ours { image: String, kept: usize },
}

impl Explain for Missing {
    fn blame(&self) -> Blame {
        Blame::Input
    }
    fn help(&self) -> Vec<String> {
        vec![match self {
            Self::Process(_) => "in a shell, $$ is its own pid".into(),
            Self::Owner => "give --owner PID or --ttl TIME".into(),
            Self::Image(_) => "--ahead needs images too that are yet to be pulled or built".into(),
            Self::Lease(_) => "`ci-build lease list` shows them".into(),
            Self::Ours { .. } => "`ci-build lease list` shows whose they are; --all ends them too".into(),
        }]
    }
}

pub(super) fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Add(arguments) => add(&arguments),
        Command::List(shown) => status::leases(&shown),
        Command::Remove(arguments) => remove(&arguments),
    }
}

fn add(Add { images, ttl, owner, ahead, wait, store: store_argument }: &Add) -> Result<(), Failure> {
    let term = match (ttl, owner) {
        (Some(ttl), _) => Term::Until(Timestamp::now() + *ttl),
        (None, Some(pid)) => Term::Owner(Process::of(*pid).ok_or(Missing::Process(*pid))?),
        (None, None) => Term::Owner(job::process().ok_or(Missing::Owner)?),
    };
    let store = store_argument.open()?;
    let leases = store.leases()?;
    // From the look at the engine until the lease is there nobody deletes an image.
    let _quiet = block_on(Quiet::for_addition(&leases, *wait))??;
    let ids = store_argument.image_ids(images)?.into_iter().zip(images);
    let unknown =
        |image: &String| if *ahead { Ok(String::new()) } else { Err(Missing::Image(image.clone())) };
    let ids = ids.map(|(id, image)| id.map_or_else(|| unknown(image), Ok));
    let ids: Vec<_> = ids.collect::<Result<_, _>>()?;
    let uses = store.last_uses()?;
    for (image, id) in images.iter().zip(ids) {
        uses.touch(&id)?;
        leases.add(&Lease::new(store.identity(), image.clone(), id, term.clone()))?;
    }
    Ok(())
}

fn remove(Remove { images, all, store }: &Remove) -> Result<(), Failure> {
    let leases = store.open()?.leases()?;
    let whose = if *all { Whose::All } else { Whose::ours() };
    for image in images {
        match leases.remove(image, &whose)? {
            Removed { ended: 0, kept: 0 } => return Err(Missing::Lease(image.clone()).into()),
            Removed { ended: 0, kept } => return Err(Missing::Ours { image: image.clone(), kept }.into()),
            Removed { ended: 1, .. } => {}
            Removed { ended, .. } => print_line(format_args!("{image}: {ended} leases"))?,
        }
    }
    Ok(())
}
