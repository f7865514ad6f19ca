//! What the engine and the user tell this frontend: `BUILDKIT_FRONTEND_OPT_<n>=key=value`.

use std::collections::HashMap;
use std::ffi::OsString;

use crate::plan::{Policy, UnknownPolicy};

/// Something in the options that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// A policy that does not exist.
    #[error("{place}: {source}")]
    Policy {
        /// Where the user wrote it.
        place: &'static str,
        /// What is wrong.
        source: UnknownPolicy,
    },
    /// A word on the syntax line that is no option.
    #[error("# syntax line: there is no option {0:?}\n  help: the options are policy=NAME")]
    Word(String),
    /// An option with bytes that are no text.
    #[error("the option {0:?} is not valid UTF-8")]
    NotText(OsString),
}

const SYNTAX_LINE: &str = "# syntax line";
const POLICY_ARGUMENT: &str = "build-arg:CI_BUILD_POLICY";

/// A build's options.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    frontend: HashMap<String, String>,
    policy: Policy,
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
        let policy = policy(&frontend)?;
        Ok(Self { frontend, policy })
    }

    /// How hazards are mended: the build argument, else the syntax line, else the default.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// Whether this is a question about the Dockerfile (`docker build --check`, `--call`), not a build.
    #[must_use]
    pub fn is_subrequest(&self) -> bool {
        self.frontend.contains_key("requestid")
    }

    /// The options for the Dockerfile frontend behind us: as they came, but for `source`, which names us. `cmdline`
    /// stays: without it the other frontend would follow the syntax line, to us again.
    #[must_use]
    pub fn for_inner(&self) -> HashMap<String, String> {
        let mut options = self.frontend.clone();
        options.remove("source");
        options
    }

    /// An option as it came.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.frontend.get(key).map(String::as_str)
    }
}

fn policy(frontend: &HashMap<String, String>) -> Result<Policy, OptionsError> {
    let mut policy = Policy::default();
    // The words behind the image on the syntax line.
    let line = frontend.get("cmdline").map(String::as_str).unwrap_or_default();
    for word in line.split_whitespace().skip(1) {
        let name = word.strip_prefix("policy=").ok_or_else(|| OptionsError::Word(word.to_owned()))?;
        policy = parse(name, SYNTAX_LINE)?;
    }
    if let Some(name) = frontend.get(POLICY_ARGUMENT) {
        policy = parse(name, "CI_BUILD_POLICY")?;
    }
    Ok(policy)
}

fn parse(name: &str, place: &'static str) -> Result<Policy, OptionsError> {
    name.parse().map_err(|source| OptionsError::Policy { place, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> Result<Options, OptionsError> {
        Options::new(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn the_build_argument_wins_over_the_syntax_line() {
        let both = [("cmdline", "image policy=lock"), (POLICY_ARGUMENT, "off")];
        assert_eq!(options(&both).unwrap().policy(), Policy::Off);
        assert_eq!(options(&both[..1]).unwrap().policy(), Policy::Lock);
        assert_eq!(options(&[("cmdline", "image")]).unwrap().policy(), Policy::Auto);
        assert_eq!(options(&[]).unwrap().policy(), Policy::Auto);
    }

    #[test]
    fn what_does_not_exist_is_named_with_what_does() {
        let error = |pairs| options(pairs).unwrap_err().to_string();
        insta::assert_snapshot!(error(&[("cmdline", "image policy=fast")]), @r#"
        # syntax line: there is no policy "fast"
          help: the policies are auto, lock, order, namespace, off
        "#);
        insta::assert_snapshot!(error(&[(POLICY_ARGUMENT, "")]), @r#"
        CI_BUILD_POLICY: there is no policy ""
          help: the policies are auto, lock, order, namespace, off
        "#);
        insta::assert_snapshot!(error(&[("cmdline", "image  color=red")]), @r#"
        # syntax line: there is no option "color=red"
          help: the options are policy=NAME
        "#);
    }

    #[test]
    fn all_but_the_source_is_forwarded() {
        let given = [("source", "image"), ("cmdline", "image"), ("target", "a"), ("build-arg:X", "a=b")];
        let mut forwarded: Vec<_> = options(&given).unwrap().for_inner().into_iter().collect();
        forwarded.sort();
        let expected = [("build-arg:X", "a=b"), ("cmdline", "image"), ("target", "a")];
        assert_eq!(forwarded, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
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
