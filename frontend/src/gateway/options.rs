//! What the engine and the user tell this frontend: `BUILDKIT_FRONTEND_OPT_<n>=key=value`.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;

use crate::dockerfile::CHECK_ARGUMENT;
use crate::options::{ChoiceError, Choices};

/// Something in the options that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// The user asked for something that does not exist.
    #[error(transparent)]
    Choice(#[from] ChoiceError),
    /// An option with bytes that are no text.
    #[error("the option {0:?} is not valid UTF-8")]
    NotText(OsString),
}

const ARGUMENT: &str = "build-arg:";

/// What may be asked about a Dockerfile (`docker build --call`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subrequest {
    /// `docker build --check`.
    Lint,
    /// Any other one.
    Other,
}

/// A build's options.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    frontend: HashMap<String, String>,
    choices: Choices,
}

impl Options {
    /// Reads the options from the environment of this process.
    ///
    /// # Errors
    /// The user asked for something that does not exist.
    pub fn from_environment(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, OptionsError> {
        let mut frontend = HashMap::new();
        for (name, value) in variables {
            if !name.to_str().is_some_and(|name| name.starts_with("BUILDKIT_FRONTEND_OPT_")) {
                continue;
            }
            let value = value.into_string().map_err(OptionsError::NotText)?;
            if let Some((key, value)) = value.split_once('=') {
                frontend.insert(key.to_owned(), value.to_owned());
            }
        }
        Self::new(frontend)
    }

    /// Reads the options from key and value.
    ///
    /// # Errors
    /// The user asked for something that does not exist.
    pub fn new(frontend: HashMap<String, String>) -> Result<Self, OptionsError> {
        let syntax_line = frontend.get("cmdline").map(String::as_str).unwrap_or_default();
        let choices = Choices::read(syntax_line, arguments(&frontend))?;
        Ok(Self { frontend, choices })
    }

    /// What the user asked of this frontend.
    #[must_use]
    pub fn choices(&self) -> &Choices {
        &self.choices
    }

    /// The question about the Dockerfile, if this is one and not a build.
    #[must_use]
    pub fn subrequest(&self) -> Option<Subrequest> {
        self.get("requestid").map(|request| match request {
            "frontend.lint" => Subrequest::Lint,
            _ => Subrequest::Other,
        })
    }

    /// The build arguments.
    #[must_use]
    pub fn arguments(&self) -> BTreeMap<String, String> {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        arguments(&self.frontend).map(owned).collect()
    }

    /// The same options as a build: without the question. The Dockerfile frontend behind us looks for no findings of its own
    /// then, which it would show as warnings, beside those that it answers the question with.
    #[must_use]
    pub fn as_build(&self) -> Self {
        let mut build = self.clone();
        build.frontend.remove("requestid");
        build.frontend.insert(format!("{ARGUMENT}{CHECK_ARGUMENT}"), "skip=all".to_owned());
        build
    }

    /// The options for the Dockerfile frontend behind us. They are as they came, but for `source`, which names us.
    /// `cmdline` stays: without it the other frontend would follow the syntax line, to us again. An image is told what it
    /// would be told if it stood on the syntax line alone.
    #[must_use]
    pub fn for_inner(&self) -> HashMap<String, String> {
        let mut options = self.frontend.clone();
        options.remove("source");
        if let Some(image) = &self.choices.upstream {
            options.extend(["source", "cmdline"].map(|key| (key.to_owned(), image.clone())));
        }
        options
    }

    /// An option as it came.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.frontend.get(key).map(String::as_str)
    }
}

/// Name and value of the build arguments.
fn arguments(frontend: &HashMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    frontend.iter().filter_map(|(key, value)| Some((key.strip_prefix(ARGUMENT)?, value.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Policy;

    fn options(pairs: &[(&str, &str)]) -> Options {
        let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Options::new(pairs.collect()).unwrap()
    }

    fn for_inner(given: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut forwarded: Vec<_> = options(given).for_inner().into_iter().collect();
        forwarded.sort();
        forwarded
    }

    #[test]
    fn choices_come_from_the_syntax_line_and_the_arguments() {
        let given =
            [("cmdline", "image policy=lock"), ("build-arg:CI_BUILD_POLICY", "off"), ("build-arg:X", "y")];
        assert_eq!(options(&given).choices().policy, Policy::Off);
        assert_eq!(options(&given[..1]).choices().policy, Policy::Lock);
        assert_eq!(options(&given).arguments().len(), 2);
    }

    #[test]
    fn all_but_the_source_is_forwarded() {
        let given = [("source", "image"), ("cmdline", "image"), ("target", "a"), ("build-arg:X", "a=b")];
        let expected = [("build-arg:X", "a=b"), ("cmdline", "image"), ("target", "a")];
        assert_eq!(for_inner(&given), expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    #[test]
    fn another_frontend_is_told_of_itself_alone() {
        let given = [("source", "us"), ("cmdline", "us policy=lock upstream=them"), ("target", "a")];
        let expected = [("cmdline", "them"), ("source", "them"), ("target", "a")];
        assert_eq!(for_inner(&given), expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    #[test]
    fn questions_are_told_from_builds() {
        assert_eq!(options(&[]).subrequest(), None);
        let lint = options(&[("requestid", "frontend.lint"), ("target", "a")]);
        assert_eq!(lint.subrequest(), Some(Subrequest::Lint));
        assert_eq!(options(&[("requestid", "frontend.outline")]).subrequest(), Some(Subrequest::Other));
        let quiet = ("build-arg:BUILDKIT_DOCKERFILE_CHECK", "skip=all");
        assert_eq!(lint.as_build(), options(&[("target", "a"), quiet]));
    }

    #[test]
    fn other_variables_are_passed_over() {
        let variables =
            [("BUILDKIT_FRONTEND_OPT_0", "target=a=b"), ("PATH", "/bin"), ("BUILDKIT_WORKERS", "[]")];
        let options = Options::from_environment(variables.map(|(k, v)| (k.into(), v.into()))).unwrap();
        assert_eq!(options.get("target"), Some("a=b"));
        assert_eq!(options.for_inner().len(), 1);
    }
}
