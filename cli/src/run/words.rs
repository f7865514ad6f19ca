//! The words of `docker run`: where the image stands, and what of the flags before it matters to us. All of them go to
//! docker as they are.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use crate::build::words::OurFlag;
use crate::process::discretion::{is_private, is_private_letter, without_value};

/// Flags of `docker run` without a value, by their long and short names (`cli/command/container/run.go` and `opts.go` of
/// docker/cli 28.5). All others have one, which is the next word where it does not follow a `=`. A switch of a later
/// docker is taken for one with a value: then the image is not known, and not leased before the container is there.
const SWITCHES: &[(&str, &str)] = &[
    ("detach", "d"),
    ("disable-content-trust", ""),
    ("help", ""),
    ("init", ""),
    ("interactive", "i"),
    ("no-healthcheck", ""),
    ("oom-kill-disable", ""),
    ("privileged", ""),
    ("publish-all", "P"),
    ("quiet", "q"),
    ("read-only", ""),
    ("rm", ""),
    ("sig-proxy", ""),
    ("tty", "t"),
    ("use-api-socket", ""),
];

/// What matters to us of a container that docker is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// The image, where it could be told.
    pub image: Option<String>,
    /// Whether docker comes back while it runs.
    pub is_detached: bool,
    /// Whether the engine may remove it when it has ended: not one that it is to start again, nor one whose end somebody
    /// asks for later.
    pub may_be_removed: bool,
}

/// One word, or a flag with its value.
pub(super) struct Item<'a> {
    /// The flag's name, and whether that is short; none for the image.
    pub(super) flag: Option<(&'a [u8], bool)>,
    pub(super) value: Option<&'a OsStr>,
    pub(super) words: usize,
}

/// Parts what stands behind `run` into our words and docker's. Ours stand before the image, or before `--`, which goes.
#[must_use]
pub fn part(words: &[OsString], ours: &[OurFlag]) -> (Vec<OsString>, Vec<OsString>) {
    let (mut our, mut theirs) = (Vec::new(), Vec::new());
    let mut rest = words;
    while let [word, ..] = rest {
        if word == "--" {
            // Behind it all is docker's, flags too.
            theirs.extend_from_slice(&rest[1..]);
            return (our, theirs);
        }
        let item = item(rest, ours);
        let Some((name, is_short)) = item.flag else { break };
        let is_ours = !is_short && ours.iter().any(|flag| flag.name.as_bytes() == name);
        let (these, others) = rest.split_at(item.words);
        if is_ours { &mut our } else { &mut theirs }.extend_from_slice(these);
        rest = others;
    }
    theirs.extend_from_slice(rest);
    (our, theirs)
}

impl Asked {
    /// Reads what docker gets behind `run`.
    #[must_use]
    pub fn read(words: &[OsString]) -> Self {
        let mut asked = Self { may_be_removed: true, ..Self::default() };
        let mut rest = words;
        while !rest.is_empty() {
            if rest[0] == "--" {
                rest = &rest[1..];
                asked.image = rest.first().map(|image| image.to_string_lossy().into_owned());
                break;
            }
            let item = item(rest, &[]);
            let Some((name, is_short)) = item.flag else {
                asked.image = Some(rest[0].to_string_lossy().into_owned());
                break;
            };
            match name {
                b"detach" => asked.is_detached = item.value.is_none_or(is_true),
                _ if is_short && letters(name).contains(&b'd') => asked.is_detached = true,
                b"restart" => {
                    asked.may_be_removed =
                        item.value.is_some_and(|policy| policy.is_empty() || policy == "no")
                }
                _ => {}
            }
            rest = &rest[item.words.min(rest.len())..];
        }
        asked.may_be_removed &= !asked.is_detached;
        asked
    }
}

/// What docker gets behind `run`, as others are told of it: without the values of flags that may have secrets in them.
#[must_use]
pub fn shown(words: &[OsString]) -> String {
    let mut shown: Vec<String> = Vec::new();
    let mut rest = words;
    while !rest.is_empty() && rest[0] != "--" {
        let item = item(rest, &[]);
        let Some((name, is_short)) = item.flag else { break };
        let (these, others) = rest.split_at(item.words.min(rest.len()));
        let valued = || name.get(letters(name).len()).is_some_and(|&letter| is_private_letter(letter));
        let is_private = if is_short { valued() } else { is_private(name) };
        let texts = these.iter().map(|word| word.to_string_lossy());
        shown.extend(texts.map(|text| if is_private { without_value(&text) } else { text.into_owned() }));
        rest = others;
    }
    shown.extend(rest.iter().map(|word| word.to_string_lossy().into_owned()));
    shown.join(" ")
}

/// As pflag reads a switch's value (strconv.ParseBool).
fn is_true(value: &OsStr) -> bool {
    matches!(value.as_bytes(), b"1" | b"t" | b"T" | b"true" | b"TRUE" | b"True")
}

/// The switches of a word as `-itd`: those before the first flag with a value.
fn letters(word: &[u8]) -> &[u8] {
    let is_switch = |letter: &u8| SWITCHES.iter().any(|(_, short)| short.as_bytes() == [*letter]);
    let end = word.iter().position(|letter| !is_switch(letter)).unwrap_or(word.len());
    &word[..end]
}

/// What the first of the words says, and how many of them.
pub(super) fn item<'a>(words: &'a [OsString], ours: &[OurFlag]) -> Item<'a> {
    let bytes = words[0].as_bytes();
    let valued = |flag, value: Option<&'a [u8]>, takes_next: bool| {
        let next = words.get(1).filter(|_| value.is_none() && takes_next);
        let value = value.map(OsStr::from_bytes).or(next.map(OsString::as_os_str));
        Item { flag: Some(flag), value, words: 1 + usize::from(next.is_some()) }
    };
    match bytes {
        [b'-', b'-', flag @ ..] if !flag.is_empty() => {
            let equals = flag.iter().position(|byte| *byte == b'=');
            let (name, value) = equals.map_or((flag, None), |at| (&flag[..at], Some(&flag[at + 1..])));
            let of_ours = ours.iter().find(|flag| flag.name.as_bytes() == name).map(|flag| flag.has_value);
            let is_switch = || SWITCHES.iter().any(|(long, _)| long.as_bytes() == name);
            valued((name, false), value, of_ours.unwrap_or_else(|| !is_switch()))
        }
        [b'-', flags @ ..] if !flags.is_empty() => {
            // The last may have a value: the rest of the word, or the next.
            let switches = letters(flags).len();
            valued((flags, true), None, switches + 1 == flags.len())
        }
        _ => Item { flag: None, value: None, words: 1 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    fn ours() -> Vec<OurFlag> {
        [("timeout", true), ("containerd", false)]
            .map(|(name, has_value)| OurFlag { name: name.into(), has_value })
            .into()
    }

    fn parted(line: &str) -> [String; 2] {
        let (our, theirs) = part(&words(line), &ours());
        [our, theirs].map(|words| words.join(OsStr::new(" ")).into_string().unwrap())
    }

    #[test]
    fn ours_stand_before_the_image() {
        assert_eq!(parted("--timeout 5m -it alpine sh"), ["--timeout 5m", "-it alpine sh"]);
        assert_eq!(parted("-e A --timeout=5m --rm alpine"), ["--timeout=5m", "-e A --rm alpine"]);
        assert_eq!(parted("alpine x --timeout 5m"), ["", "alpine x --timeout 5m"]);
        assert_eq!(parted("-e --timeout alpine"), ["", "-e --timeout alpine"], "it is a value");
        assert_eq!(parted("--containerd -- --timeout 5 x"), ["--containerd", "--timeout 5 x"]);
        assert_eq!(parted("--name --timeout 5m x"), ["", "--name --timeout 5m x"]);
    }

    #[test]
    fn what_matters_is_read() {
        let asked = |line: &str| {
            let asked = Asked::read(&words(line));
            (asked.image.unwrap_or_default(), asked.is_detached, asked.may_be_removed)
        };
        assert_eq!(asked("--rm -it alpine:3 -d"), ("alpine:3".into(), false, true));
        assert_eq!(asked("-itd -v /a:/b -p80:80 alpine"), ("alpine".into(), true, false));
        assert_eq!(asked("--detach=false alpine"), ("alpine".into(), false, true));
        assert_eq!(asked("--detach alpine"), ("alpine".into(), true, false));
        assert_eq!(asked("-edd alpine"), ("alpine".into(), false, true), "the value of -e");
        assert_eq!(asked("-ite A=1 alpine"), ("alpine".into(), false, true));
        assert_eq!(asked("--restart always alpine"), ("alpine".into(), false, false));
        assert_eq!(asked("--restart=no alpine"), ("alpine".into(), false, true));
        assert_eq!(asked("--init -- alpine x"), ("alpine".into(), false, true));
        assert_eq!(asked("--name"), (String::new(), false, true));
    }

    #[test]
    fn values_that_may_be_secrets_are_not_shown() {
        let shown = |line: &str| shown(&words(line));
        insta::assert_snapshot!(
            shown("-it -e TOKEN=s3cret --env=A=s3cret -eB=s3cret -ite C=s3cret --label l=s3cret -v /a:/b=c alpine env X=1"),
            @"-it -e TOKEN=… --env=… -eB=… -ite C=… --label l=… -v /a:/b=c alpine env X=1"
        );
        assert_eq!(shown("-e TOKEN --name -e -- alpine -e A=1"), "-e TOKEN --name -e -- alpine -e A=1");
        assert_eq!(shown("--log-opt splunk-token=s3cret alpine"), "--log-opt splunk-token=… alpine");
        // pflag takes what is behind the letter for its value, whatever letters that has.
        assert_eq!(shown("-eed=s3cret alpine"), "-eed=… alpine");
        assert_eq!(shown("-e"), "-e");
    }

    proptest! {
        #[test]
        fn no_word_is_lost_or_made_up(words in prop::collection::vec("[-=a-z]{0,8}|--|--timeout|-d|-e", 0..12)) {
            let words: Vec<OsString> = words.into_iter().map(OsString::from).collect();
            let (our, theirs) = part(&words, &ours());
            prop_assert!(words.len() - our.len() - theirs.len() <= 1, "at most the -- is gone");
            for part in [&our, &theirs] {
                let mut all = words.iter();
                prop_assert!(part.iter().all(|word| all.any(|of_all| of_all == word)), "the order stays");
            }
            let _ = Asked::read(&theirs);
        }
    }
}
