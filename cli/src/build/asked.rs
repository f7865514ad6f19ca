//! What buildx is asked for, as far as it concerns us.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::words::{Item, Said, items};

/// What a `docker buildx build` command line says, as far as it concerns us.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// The context: the last word that stands alone.
    pub context: Option<OsString>,
    /// `--file`.
    pub file: Option<OsString>,
    /// `--build-arg`, as given.
    pub arguments: Vec<String>,
    /// `--builder`.
    pub builder: Option<String>,
    /// `--metadata-file`.
    pub metadata: Option<PathBuf>,
    /// `--tag`.
    pub tags: Vec<String>,
    /// `--progress`.
    pub progress: Option<String>,
    /// `--target`.
    pub target: Option<String>,
    /// `--platform`, comma-separated lists taken apart.
    pub platforms: Vec<String>,
    /// Whether buildx builds nothing: `--call`, `--check`, `--print`, `--help`.
    pub is_question: bool,
    /// Where flags end: at a `--`, else behind the last word.
    flags_end: usize,
}

/// The build argument that chooses a frontend.
pub const SYNTAX: &str = "BUILDKIT_SYNTAX";

impl Asked {
    /// Reads buildx's words. Of a flag that is given twice the last counts, as it does there.
    pub fn read(words: &[OsString]) -> Self {
        let mut asked = Self { flags_end: words.len(), ..Self::default() };
        for Item { said, at } in items(words, &[]) {
            let (name, value) = match said {
                Said::Flag(name, value) => (name, value),
                Said::Word(word) => {
                    asked.context = Some(word);
                    continue;
                }
                Said::End => {
                    asked.flags_end = at.start;
                    continue;
                }
            };
            let text = || value.as_deref().map(|value| value.to_string_lossy().into_owned());
            match (name.as_str(), &value) {
                ("file", _) => asked.file = value.filter(|file| !file.is_empty()),
                ("build-arg", _) => asked.arguments.extend(text()),
                ("tag", _) => asked.tags.extend(text().filter(|tag| !tag.is_empty())),
                ("builder", _) => asked.builder = text().filter(|name| !name.is_empty()),
                ("metadata-file", _) => {
                    asked.metadata = value.filter(|file| !file.is_empty()).map(Into::into)
                }
                ("progress", _) => asked.progress = text().filter(|how| !how.is_empty()),
                ("quiet", what) if what.as_deref() != Some(OsStr::new("false")) => {
                    asked.progress = Some("quiet".to_owned());
                }
                ("target", _) => asked.target = text().filter(|stage| !stage.is_empty()),
                ("platform", _) => {
                    let platforms = text().unwrap_or_default();
                    let platforms =
                        platforms.split(',').map(str::trim).filter(|platform| !platform.is_empty());
                    asked.platforms.extend(platforms.map(str::to_owned));
                }
                ("call" | "print", Some(what)) => asked.is_question = what != OsStr::new("build"),
                ("check" | "help", what) => {
                    asked.is_question |= what.as_deref() != Some(OsStr::new("false"));
                }
                _ => {}
            }
        }
        asked
    }

    /// The value of a build argument: the last that is given; one without a value is taken from the environment.
    pub fn argument(&self, name: &str, environment: impl Fn(&str) -> Option<String>) -> Option<String> {
        self.arguments.iter().rev().find_map(|given| match given.split_once('=') {
            Some((of, value)) => (of == name).then(|| value.to_owned()),
            None => environment(given).filter(|_| given == name),
        })
    }

    /// The words with these flags behind all others, so that they win.
    pub fn with_flags(&self, words: &[OsString], flags: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
        let mut words = words.to_vec();
        words.splice(self.flags_end..self.flags_end, flags);
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    fn asked(line: &str) -> Asked {
        Asked::read(&words(line))
    }

    #[test]
    fn what_concerns_us_is_read() {
        let asked = asked(
            "--builder b --platform linux/amd64,linux/arm64 --target t --metadata-file m -f a/Dockerfile \
             --build-arg A=1 --build-arg=B --push --tag x ctx",
        );
        assert_eq!((asked.context.unwrap(), asked.file.unwrap()), ("ctx".into(), "a/Dockerfile".into()));
        assert_eq!((&asked.builder.unwrap()[..], &asked.target.unwrap()[..]), ("b", "t"));
        assert_eq!(asked.platforms, ["linux/amd64", "linux/arm64"]);
        assert_eq!((asked.metadata.unwrap(), asked.arguments), ("m".into(), vec!["A=1".into(), "B".into()]));
        assert_eq!(asked.tags, ["x"]);
        assert!(!asked.is_question);
    }

    #[test]
    fn questions_are_told_from_builds() {
        for line in ["--check .", "--call=check .", "--call outline .", "--print=targets .", "--help"] {
            assert!(asked(line).is_question, "{line}");
        }
        for line in [".", "--call build .", "--check=false .", "--build-arg --check ."] {
            assert!(!asked(line).is_question, "{line}");
        }
    }

    #[test]
    fn the_last_build_argument_counts() {
        let asked = asked("--build-arg A=1 --build-arg A=2 --build-arg B --build-arg C .");
        let of = |name| asked.argument(name, |name| (name == "B").then(|| "from outside".to_owned()));
        assert_eq!(
            [of("A"), of("B"), of("C"), of("D")],
            [Some("2".into()), Some("from outside".into()), None, None]
        );
    }

    #[test]
    fn flags_are_put_behind_all_others() {
        let with = |line: &str| {
            let words = asked(line).with_flags(&words(line), ["--file".into(), "new".into()]);
            words.join(OsStr::new(" ")).into_string().unwrap()
        };
        assert_eq!(with("-t x -qf old ."), "-t x -qf old . --file new");
        assert_eq!(with("-t x -- -odd"), "-t x --file new -- -odd");
        assert_eq!(asked(&with("-f old -- .")).file.unwrap(), "new");
    }
}
