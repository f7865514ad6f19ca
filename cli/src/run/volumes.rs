//! Anonymous volumes with our labels, so that a recovery knows whose they are when their container is gone: an engine that is killed
//! forgets, when it starts again, those of the containers that it was to remove by itself (`docker run --rm` loses them just so).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use super::words::{Item, item};

/// What docker gets behind `run`, with `--mount type=volume,…` and these labels in the place of each `-v DIR`. What else makes volumes
/// stays: an image that declares them, and all where another driver is to make them.
#[must_use]
pub fn labelled(words: &[OsString], labels: &[(&str, String)]) -> Vec<OsString> {
    let mut labelled = Vec::new();
    let mut rest = words;
    while !rest.is_empty() && rest[0] != "--" {
        let Item { flag: Some((name, is_short)), value, words: taken } = item(rest, &[]) else { break };
        if (name, is_short) == (b"volume-driver", false) {
            return words.to_vec();
        }
        let directory = match (name, is_short) {
            (b"volume", false) | (b"v", true) => value.map(OsStr::as_bytes),
            ([b'v', directory @ ..], true) => Some(directory),
            _ => None,
        };
        let (these, others) = rest.split_at(taken.min(rest.len()));
        match directory.filter(|directory| is_anonymous(directory)) {
            Some(directory) => labelled.extend(["--mount".into(), mount(directory, labels)]),
            None => labelled.extend_from_slice(these),
        }
        rest = others;
    }
    labelled.extend_from_slice(rest);
    labelled
}

/// Whether it is a directory of the container alone, and can be written into a `--mount` as it is (a line of CSV).
fn is_anonymous(volume: &[u8]) -> bool {
    volume.starts_with(b"/") && !volume.iter().any(|byte| b":,\"\n\r".contains(byte))
}

fn mount(directory: &[u8], labels: &[(&str, String)]) -> OsString {
    let mut mount = [b"type=volume,target=", directory].concat();
    for (name, value) in labels {
        mount.extend(format!(",volume-label={name}={value}").into_bytes());
    }
    OsString::from_vec(mount)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    fn of(line: &str) -> String {
        labelled(&words(line), &[("a", "1".into())]).join(OsStr::new(" ")).into_string().unwrap()
    }

    #[test]
    fn a_directory_alone_is_a_volume_with_labels() {
        let mount = "--mount type=volume,target=/d,volume-label=a=1";
        for volume in ["-v /d", "-v/d", "--volume /d", "--volume=/d"] {
            assert_eq!(of(&format!("--rm {volume} -it alpine sh")), format!("--rm {mount} -it alpine sh"));
        }
        assert_eq!(of("-v /d -v /e alpine"), format!("{mount} {} alpine", mount.replace("/d", "/e")));
    }

    #[test]
    fn what_has_a_name_or_is_none_of_dockers_flags_stays() {
        for line in [
            "-v name:/d alpine",
            "-v /a:/d:ro alpine",
            "-v /d,e alpine",
            "-v d alpine",
            "-e -v alpine /d",
            "alpine -v /d",
            "-- alpine -v /d",
            "--volume-driver x -v /d alpine",
            "-v /d --volume-driver=x alpine",
            "-v",
        ] {
            assert_eq!(of(line), line);
        }
    }

    proptest! {
        #[test]
        fn no_other_word_changes(words in prop::collection::vec("[-=a-z/:]{0,8}|--|-v|/d|--volume", 0..12)) {
            let words: Vec<OsString> = words.into_iter().map(OsString::from).collect();
            let labelled = labelled(&words, &[]);
            let mut all = words.iter();
            for word in labelled.iter().filter(|word| *word != "--mount" && !word.as_bytes().starts_with(b"type=")) {
                prop_assert!(all.any(|of_all| of_all == word), "{word:?} of {words:?}");
            }
        }
    }
}
