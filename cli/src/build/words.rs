//! The words of a command line: which are flags, which are values of flags, which stand alone; as `docker buildx build`
//! reads them (pflag), and with flags of ours in between.

use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt as _;

use crate::process::discretion::{is_private, without_value};

/// Flags of `docker buildx build` that have a value, which may be the next word (`commands/build.go`, `commands/root.go` of
/// buildx 0.34, and those that older ones had). What is not here is a switch, or of a later buildx and taken for one.
const VALUED: &[&str] = &[
    "add-host",
    "allow",
    "annotation",
    "attest",
    "build-arg",
    "build-context",
    "builder",
    "cache-from",
    "cache-to",
    "call",
    "cgroup-parent",
    "cpu-period",
    "cpu-quota",
    "cpu-shares",
    "cpuset-cpus",
    "cpuset-mems",
    "file",
    "iidfile",
    "invoke",
    "isolation",
    "label",
    "memory",
    "memory-swap",
    "metadata-file",
    "network",
    "no-cache-filter",
    "on",
    "output",
    "platform",
    "policy",
    "print",
    "progress",
    "provenance",
    "resource",
    "root",
    "sbom",
    "secret",
    "security-opt",
    "server-config",
    "shm-size",
    "ssh",
    "tag",
    "target",
    "ulimit",
];

/// A flag's short names, and what they are short for.
const SHORT: &[(&str, &str)] = &[
    ("c", "cpu-shares"),
    ("D", "debug"),
    ("f", "file"),
    ("h", "help"),
    ("m", "memory"),
    ("o", "output"),
    ("q", "quiet"),
    ("t", "tag"),
];

/// A flag of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OurFlag {
    /// Without its dashes.
    pub name: String,
    /// Whether it has a value.
    pub has_value: bool,
}

/// One thing that a command line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub said: Said,
    /// The words that it stands in.
    pub at: Range<usize>,
}

/// What a command line says in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A flag by its long name, and its value if it has one.
    Flag(String, Option<OsString>),
    /// A word that stands alone: the build's context.
    Word(OsString),
    /// `--`: flags are over.
    End,
}

/// Parts a command line behind `build` into our words and buildx's. Ours may stand anywhere before `--`; what stands
/// behind it is buildx's, without that `--`.
///
/// `--policy` is both ours and, since 0.31, buildx's: theirs always has `key=value`, ours never.
pub fn part(words: &[OsString], ours: &[OurFlag]) -> (Vec<OsString>, Vec<OsString>) {
    let (mut our, mut theirs) = (Vec::new(), Vec::new());
    for Item { said, at } in items(words, ours) {
        match said {
            Said::End => {
                theirs.extend_from_slice(&words[at.end..]);
                break;
            }
            Said::Flag(name, value) if is_ours(ours, &name, value.as_deref()) => {
                our.extend_from_slice(&words[at]);
            }
            _ => theirs.extend_from_slice(&words[at]),
        }
    }
    (our, theirs)
}

fn is_ours(ours: &[OurFlag], name: &str, value: Option<&OsStr>) -> bool {
    let is_theirs = name == "policy" && value.is_some_and(|value| value.as_bytes().contains(&b'='));
    ours.iter().any(|flag| flag.name == name) && !is_theirs
}

/// What buildx gets behind `build`, as others are told of it: without the values of flags that may have secrets in them.
#[must_use]
pub fn shown(words: &[OsString]) -> String {
    let mut shown: Vec<String> = Vec::new();
    for Item { said, at } in items(words, &[]) {
        // None of them has a short name that shares a word with others.
        let is_private = matches!(said, Said::Flag(name, Some(_)) if is_private(name.as_bytes()));
        let texts = words[at].iter().map(|word| word.to_string_lossy());
        shown.extend(texts.map(|text| if is_private { without_value(&text) } else { text.into_owned() }));
    }
    shown.join(" ")
}

/// What a command line says, one after the other.
pub fn items(words: &[OsString], ours: &[OurFlag]) -> Vec<Item> {
    let mut items = Vec::new();
    let mut at = 0;
    let mut is_over = false;
    while let Some(word) = words.get(at) {
        let bytes = word.as_bytes();
        let next = words.get(at + 1);
        let begin = at;
        at += 1;
        let said = match bytes {
            _ if is_over => Said::Word(word.clone()),
            b"--" => {
                is_over = true;
                Said::End
            }
            [b'-', b'-', flag @ ..] => {
                let (name, value) = split(flag);
                let name = String::from_utf8_lossy(name).into_owned();
                let value = match value {
                    None if has_value(ours, &name) => next.inspect(|_| at += 1).cloned(),
                    value => value.map(|value| OsStr::from_bytes(value).to_owned()),
                };
                Said::Flag(name, value)
            }
            [b'-', flags @ ..] if !flags.is_empty() => {
                for said in short(flags, next, &mut at) {
                    items.push(Item { said, at: begin..begin });
                }
                // What stands in one word cannot be parted: the last one has it.
                if let Some(last) = items.last_mut() {
                    last.at = begin..at;
                }
                continue;
            }
            _ => Said::Word(word.clone()),
        };
        items.push(Item { said, at: begin..at });
    }
    items
}

/// The flags in a word as `-qt`, of which the last may have a value: the rest of the word, or the next.
fn short(flags: &[u8], next: Option<&OsString>, at: &mut usize) -> Vec<Said> {
    let mut said = Vec::new();
    for (place, flag) in flags.iter().enumerate() {
        let letter = char::from(*flag).to_string();
        let long =
            SHORT.iter().find(|(short, _)| *short == letter).map_or(&*letter, |(_, long)| long).to_owned();
        if !has_value(&[], &long) {
            said.push(Said::Flag(long, None));
            continue;
        }
        let rest = &flags[place + 1..];
        let value = match rest {
            [] => next.inspect(|_| *at += 1).cloned(),
            [b'=', value @ ..] | value => Some(OsStr::from_bytes(value).to_owned()),
        };
        said.push(Said::Flag(long, value));
        break;
    }
    said
}

fn split(flag: &[u8]) -> (&[u8], Option<&[u8]>) {
    match flag.iter().position(|byte| *byte == b'=') {
        Some(equals) => (&flag[..equals], Some(&flag[equals + 1..])),
        None => (flag, None),
    }
}

fn has_value(ours: &[OurFlag], name: &str) -> bool {
    match ours.iter().find(|flag| flag.name == name) {
        Some(flag) => flag.has_value,
        None => VALUED.contains(&name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ours() -> Vec<OurFlag> {
        [("policy", true), ("wait", true), ("store", true), ("help", false)]
            .map(|(name, has_value)| OurFlag { name: name.into(), has_value })
            .into()
    }

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    fn parted(line: &str) -> (String, String) {
        let (ours, theirs) = part(&words(line), &ours());
        let shown = |words: Vec<OsString>| words.join(OsStr::new(" ")).into_string().unwrap();
        (shown(ours), shown(theirs))
    }

    #[test]
    fn ours_may_stand_anywhere() {
        let both = ("--policy lock --wait=5m", "-t x --push .");
        let both = (both.0.to_owned(), both.1.to_owned());
        for line in [
            "--policy lock --wait=5m -t x --push .",
            "-t x --policy lock --push --wait=5m .",
            "-t x --push . --policy lock --wait=5m",
            "--policy lock --wait=5m -- -t x --push .",
        ] {
            assert_eq!(parted(line), both, "{line}");
        }
    }

    #[test]
    fn values_of_buildxs_flags_are_not_looked_at() {
        assert_eq!(parted("--build-arg --policy .").1, "--build-arg --policy .");
        assert_eq!(parted("-t --wait .").1, "-t --wait .");
        assert_eq!(parted("-qt --wait .").1, "-qt --wait .");
        assert_eq!(parted("-tx --wait 5m .").0, "--wait 5m");
        assert_eq!(parted("--load --wait 5m .").0, "--wait 5m");
        assert_eq!(parted("--of-a-later-buildx --wait 5m .").0, "--wait 5m");
        assert_eq!(parted("-- --wait 5m").1, "--wait 5m");
        assert_eq!(parted("a -- -- --wait 5m").1, "a -- --wait 5m");
    }

    #[test]
    fn a_policy_with_an_equals_sign_is_buildxs() {
        assert_eq!(parted("--policy lock .").0, "--policy lock");
        assert_eq!(parted("--policy=lock .").0, "--policy=lock");
        assert_eq!(parted("--policy=filename=a.rego .").0, "");
        let both = parted("--policy disabled=true --policy order .");
        assert_eq!(both, ("--policy order".to_owned(), "--policy disabled=true .".to_owned()));
        assert_eq!(parted("-- --policy lock .").1, "--policy lock .", "behind -- all is buildx's");
    }

    #[test]
    fn short_flags_share_a_word() {
        let said: Vec<_> = items(&words("-qfa -t=x -t y"), &[]).into_iter().map(|item| item.said).collect();
        let flag = |name: &str, value: &str| Said::Flag(name.into(), Some(value.into()));
        assert_eq!(
            said,
            [Said::Flag("quiet".into(), None), flag("file", "a"), flag("tag", "x"), flag("tag", "y")]
        );
        assert_eq!(items(&words("-"), &[])[0].said, Said::Word("-".into()));
    }

    #[test]
    fn values_that_may_be_secrets_are_not_shown() {
        let line = "-qt x --build-arg TOKEN=s3cret --build-arg=A=s3cret --secret id=a,src=s3cret --cache-to \
                    type=s3,secret_access_key=s3cret --cache-from user/app:cache -f a=b --push .";
        insta::assert_snapshot!(
            shown(&words(line)),
            @"-qt x --build-arg TOKEN=… --build-arg=… --secret id=… --cache-to type=… --cache-from user/app:cache -f a=b --push ."
        );
    }

    proptest! {
        #[test]
        fn no_word_is_lost_or_made_up(words in prop::collection::vec("[-=a-z]{0,8}|--|--policy|--wait=x|-t", 0..12)) {
            let words: Vec<OsString> = words.into_iter().map(OsString::from).collect();
            let (our, their) = part(&words, &ours());
            let end = words.len() - our.len() - their.len();
            prop_assert!(end <= 1, "at most the -- is gone");
            for part in [&our, &their] {
                let mut all = words.iter();
                prop_assert!(part.iter().all(|word| all.any(|of_all| of_all == word)), "the order stays");
            }
            let items = items(&words, &ours());
            prop_assert!(items.windows(2).all(|pair| pair[0].at.end <= pair[1].at.start.max(pair[0].at.end)));
            prop_assert_eq!(items.last().map_or(0, |item| item.at.end), words.len());
        }
    }
}
