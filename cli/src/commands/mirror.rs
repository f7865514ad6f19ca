//! `ci-build mirror`.

use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::format::Format;
use super::progress::Progress;
use super::sources::PatienceArguments;
use super::{block_on_all, document, duration, print_line, size};
use crate::error::{Blame, Explain, Failure};
use crate::registry::{
    self, Address, Client, Copied, Copier, Extent, Reference, Removal, Repository, TagPattern, Target,
};
use crate::switch;

const EXAMPLES: &str = "\
Examples:
  ci-build mirror debian:12 golang:1.25 10.0.0.5:5000
  ci-build mirror rocm/sgl-dev 10.0.0.5:5000 --tag 'v0.5-{date:%Y%m%d}' --newest 3 --prune-older
  ci-build mirror registry.example/app:1.2 lan.example/copies/app:stable

DST is a registry, with a path or without: then images go below it under their own names, where a \
[[mirror]] with that address finds them. With a tag it is the whole name of one image. \
A SRC without a tag means the tags that --tag, --since and --newest choose, and `latest` without them. \
All platforms of an index are copied, attestations and signatures too.";

/// Copy images from registry to registry, without an engine
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Images, or repositories whose tags are chosen, and then where to copy them
    #[arg(value_name = "SRC… DST", required = true, num_args = 2..)]
    names: Vec<String>,
    /// Only tags like this: with * and ?, or with {date:FORMAT} as of strftime [repeatable]
    #[arg(long, value_name = "PATTERN", env = "CI_BUILD_MIRROR_TAG", value_delimiter = ',')]
    tag: Vec<TagPattern>,
    /// Only images that were made within this time, and the newest in any case
    #[arg(long, value_name = "TIME", env = "CI_BUILD_MIRROR_SINCE", value_parser = duration::parse)]
    since: Option<Duration>,
    /// Only so many images, the newest
    #[arg(long, value_name = "N", env = "CI_BUILD_MIRROR_NEWEST", value_parser = clap::value_parser!(u32).range(1..))]
    newest: Option<u32>,
    /// Then delete, in the destination, the tags of the same pattern that --since and --newest do not choose
    #[arg(long, env = "CI_BUILD_MIRROR_PRUNE_OLDER", value_parser = switch::parse)]
    prune_older: bool,
    /// How many blobs to copy at once
    #[arg(long, value_name = "N", env = "CI_BUILD_MIRROR_JOBS", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,
    #[command(flatten)]
    patience: PatienceArguments,
    /// Also talk to a registry whose certificate is not trusted, or that has none (always so on a loopback
    /// address)
    #[arg(long, env = "CI_BUILD_INSECURE", value_parser = switch::parse)]
    insecure: bool,
    /// How to tell what was done: people on stderr, scripts on stdout
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What is wrong with the names.
#[derive(Debug, thiserror::Error)]
enum NameError {
    #[error("'{0}' is no image: {1}")]
    Source(String, registry::ReferenceError),
    #[error("'{0}' is neither a registry nor the name of an image")]
    Destination(String),
    #[error("only one image can have the name '{0}'")]
    Several(String),
    #[error("--prune-older needs --since or --newest, and repositories without a tag")]
    Prune,
    #[error("'{0}' has no tag that is meant")]
    Nothing(String),
    #[error("{0} of {1} images were not copied")]
    Some(usize, usize),
}

impl Explain for NameError {
    fn blame(&self) -> Blame {
        match self {
            Self::Source(..) | Self::Destination(_) | Self::Several(_) | Self::Prune => Blame::Input,
            Self::Nothing(_) | Self::Some(..) => Blame::Surroundings,
        }
    }
    fn help(&self) -> Vec<String> {
        match self {
            Self::Destination(_) => {
                vec!["such as 10.0.0.5:5000, lan.example/copies or lan.example/app:1".into()]
            }
            Self::Several(_) => vec!["a registry takes several, under their own names".into()],
            Self::Some(..) => vec!["run it again: what was copied is not copied twice".into()],
            Self::Source(..) => vec!["such as debian:12 or registry.example/app:1.2".into()],
            Self::Nothing(_) => {
                vec!["--tag is compared with whole tags: 'v1*' means all that begin so".into()]
            }
            // It says what it needs.
            Self::Prune => Vec::new(),
        }
    }
}

/// Where copies go.
#[derive(Debug, PartialEq, Eq)]
enum Destination {
    /// Below this address, under their own names.
    Below(Address),
    /// Under this very name.
    Exactly(Address, String, String),
}

impl FromStr for Destination {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let wrong = || NameError::Destination(text.into());
        let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (scheme, rest));
        let last = rest.split_once('/').map(|(_, path)| path);
        if let Some((path, tag)) = last.and_then(|path| path.split_once(':')) {
            let scheme = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
            let host = rest.split('/').next().unwrap_or_default();
            let address: Address = format!("{scheme}{host}").parse().map_err(|_| wrong())?;
            // The rules for names are the registry's own.
            let named: Reference = format!("{host}/{path}:{tag}").parse().map_err(|_| wrong())?;
            return Ok(Self::Exactly(address, named.repository().into(), tag.into()));
        }
        text.parse().map(Self::Below).map_err(|_| wrong())
    }
}

/// What to copy.
#[derive(Debug)]
struct Wanted {
    image: Reference,
    /// Whether its tags are to be chosen.
    is_open: bool,
}

/// One image that was copied, or was not.
struct Line {
    from: String,
    to: String,
    outcome: Result<Copied, registry::CopyError>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (sources, destination) = names(arguments)?;
    block_on_all(copy(arguments, &sources, &destination))?
}

fn names(arguments: &Arguments) -> Result<(Vec<Wanted>, Destination), NameError> {
    let has_choice = !arguments.tag.is_empty() || arguments.since.is_some() || arguments.newest.is_some();
    let [sources @ .., destination] = arguments.names.as_slice() else {
        return Ok((Vec::new(), "".parse()?));
    };
    let wanted = |text: &String| {
        let image = text.parse().map_err(|error| NameError::Source(text.clone(), error))?;
        let has_target = text.contains('@') || text.rsplit('/').next().is_some_and(|last| last.contains(':'));
        Ok(Wanted { image, is_open: has_choice && !has_target })
    };
    let sources: Vec<Wanted> = sources.iter().map(wanted).collect::<Result<_, _>>()?;
    let parsed: Destination = destination.parse()?;
    let is_one = sources.len() == 1 && !sources[0].is_open;
    if matches!(parsed, Destination::Exactly(..)) && !is_one {
        return Err(NameError::Several(destination.clone()));
    }
    let has_extent = arguments.since.is_some() || arguments.newest.is_some();
    if arguments.prune_older && !(has_extent && sources.iter().all(|wanted| wanted.is_open)) {
        return Err(NameError::Prune);
    }
    Ok((sources, parsed))
}

async fn copy(arguments: &Arguments, sources: &[Wanted], destination: &Destination) -> Result<(), Failure> {
    let progress = Progress::new();
    let (retry, limits) = (arguments.patience.retry(), arguments.patience.limits());
    let copier = Copier::new(retry, limits, arguments.jobs.into(), progress.watch());
    let extent = Extent { since: arguments.since, newest: arguments.newest.map(|newest| newest as usize) };
    let (address, insecure) = match destination {
        Destination::Below(address) | Destination::Exactly(address, ..) => (address, arguments.insecure),
    };
    let to_client = Client::new(Address { path: String::new(), ..address.clone() }, insecure);
    let (mut lines, mut pruned) = (Vec::new(), Vec::new());
    for Wanted { image, is_open } in sources {
        let from_client = Client::new(registry::origin(image, insecure, limits).address, insecure);
        let from = Repository { client: &from_client, name: image.repository() };
        let repository = match destination {
            Destination::Below(address) => address.below(image.repository()),
            Destination::Exactly(_, repository, _) => repository.clone(),
        };
        let to = Repository { client: &to_client, name: &repository };
        let targets = if *is_open {
            let tags = copier.tags(from, &arguments.tag, extent != Extent::default()).await?;
            let meant = match extent {
                Extent { since: None, newest: None } => tags,
                extent => extent.divide(tags, Timestamp::now()).0,
            };
            if meant.is_empty() {
                return Err(NameError::Nothing(image.familiar_repository()).into());
            }
            meant.into_iter().map(|tagged| Target::Tag(tagged.tag)).collect()
        } else {
            vec![image.target().clone()]
        };
        for target in targets {
            let tag = match (&target, destination) {
                (_, Destination::Exactly(_, _, tag)) => Some(tag.as_str()),
                (Target::Tag(tag), Destination::Below(_)) => Some(tag.as_str()),
                (Target::Digest(_), Destination::Below(_)) => None,
            };
            let outcome = copier.copy(from, to, &target, tag).await;
            let named = tag.map_or_else(|| target.to_string(), |tag| format!(":{tag}"));
            let line = Line {
                from: format!("{}{target}", image.familiar_repository()),
                to: format!("{}/{repository}{named}", to_client.address().host),
                outcome,
            };
            progress.line(&line.told());
            lines.push(line);
        }
        let has_failed = lines.iter().any(|line| line.outcome.is_err());
        // What is old stays as long as what is new is not there.
        if arguments.prune_older && !has_failed {
            let tags = copier.tags(to, &arguments.tag, true).await?;
            let (_, old) = extent.divide(tags, Timestamp::now());
            let old: Vec<String> = old.into_iter().map(|tagged| tagged.tag).collect();
            for (tag, removal) in copier.remove(to, &old).await? {
                let name = format!("{}/{repository}:{tag}", to_client.address().host);
                progress.line(&told(&name, &removal));
                pruned.push((name, removal));
            }
        }
    }
    show(arguments, &copier, &lines, &pruned, &progress)
}

fn told(name: &str, removal: &Removal) -> String {
    match removal {
        Removal::Gone => format!("{name}: deleted"),
        Removal::Needed => format!("{name}: kept, since a tag that stays points to the same image"),
        Removal::Refused => format!("{name}: kept, since the registry deletes nothing"),
    }
}

impl Line {
    fn told(&self) -> String {
        let Self { from, to, outcome } = self;
        match outcome {
            Err(error) => format!("{from}: not copied: {error}"),
            Ok(Copied { was_there: true, .. }) => format!("{from}: {to} is the same already"),
            Ok(Copied { digest, referrers: 0, .. }) => format!("{from}: {to} is {digest}"),
            Ok(Copied { digest, referrers, .. }) => {
                format!("{from}: {to} is {digest}, with {referrers} that refer to it")
            }
        }
    }
}

fn show(
    arguments: &Arguments,
    copier: &Copier,
    lines: &[Line],
    pruned: &[(String, Removal)],
    progress: &Progress,
) -> Result<(), Failure> {
    let sum = copier.sum();
    let registry::Sum { sent, mounted, there, bytes } = sum;
    progress.line(&format!(
        "{sent} blobs sent, {}; {there} were there, {mounted} taken from other repositories",
        size::shown(bytes)
    ));
    if matches!(arguments.format, Format::Json) {
        let image = |line: &Line| match &line.outcome {
            Ok(Copied { digest, was_there, referrers }) => json!({
                "from": line.from, "to": line.to, "digest": digest.as_str(),
                "wasThere": was_there, "referrers": referrers,
            }),
            Err(error) => json!({"from": line.from, "to": line.to, "error": error.to_string()}),
        };
        let removal = |(name, removal): &(String, Removal)| {
            let outcome = match removal {
                Removal::Gone => "deleted",
                Removal::Needed => "needed",
                Removal::Refused => "refused",
            };
            json!({"name": name, "outcome": outcome})
        };
        print_line(document(vec![
            ("images", lines.iter().map(image).collect()),
            ("pruned", pruned.iter().map(removal).collect()),
            ("blobs", json!({"sent": sent, "mounted": mounted, "there": there})),
            ("bytes", bytes.into()),
        ]))?;
    }
    match lines.iter().filter(|line| line.outcome.is_err()).count() {
        0 => Ok(()),
        failed => Err(NameError::Some(failed, lines.len()).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_a_registry_or_a_name() {
        let read = |text: &str| match text.parse::<Destination>() {
            Ok(Destination::Below(address)) => format!("below {address}"),
            Ok(Destination::Exactly(address, repository, tag)) => format!("{address} {repository} {tag}"),
            Err(error) => error.to_string(),
        };
        assert_eq!(read("10.0.0.5:5000"), "below 10.0.0.5:5000");
        assert_eq!(read("http://lan.example/copies"), "below http://lan.example/copies");
        assert_eq!(read("lan.example:5000/a/b:1"), "lan.example:5000 a/b 1");
        assert_eq!(read("http://lan.example/a:1"), "http://lan.example a 1");
        insta::assert_snapshot!(read("lan.example/A:1"), @"'lan.example/A:1' is neither a registry nor the name of an image");
    }
}
