//! What a user may ask of the frontend: one table, from which the reading, the errors and `docs/options.md` come.

mod table;

use std::fmt;

pub use table::{OPTIONS, Value, Values, What};

use crate::plan::{Durations, Policy, Scope};

/// What `--no-cache` does to a step that mounts caches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NoCache {
    /// As upstream: it runs anew, its caches are emptied before, and later builds find its result.
    #[default]
    Upstream,
    /// It runs anew. Nobody's caches are emptied, and later builds do not find its result.
    Keep,
}

/// Whether `docker build --check` tells our findings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Check {
    /// Beside upstream's.
    #[default]
    On,
    /// Upstream's list stays as it is.
    Off,
}

/// What was asked for, or the default where nothing was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choices {
    /// How hazards are mended.
    pub policy: Policy,
    /// Against whom.
    pub scope: Scope,
    /// The image of the Dockerfile frontend behind this one; the engine's own if none.
    pub upstream: Option<String>,
    /// What `--no-cache` does.
    pub no_cache: NoCache,
    /// What `--check` tells.
    pub check: Check,
    /// How long the steps of earlier builds took.
    pub durations: Durations,
}

/// Where something was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Behind the image's name on the syntax line.
    SyntaxLine,
    /// In a build argument.
    Argument(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SyntaxLine => "# syntax line",
            Self::Argument(name) => name,
        })
    }
}

/// Something that a user asked for and that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    /// A value that an option does not have.
    #[error("{place}: there is no {} {value:?}\n  help: the {} are {}", what.noun.0, what.noun.1, what.values)]
    Value {
        /// Where it was written.
        place: Origin,
        /// Of which option.
        what: &'static What,
        /// What was written.
        value: String,
    },
    /// A word on the syntax line that is no option.
    #[error("# syntax line: there is no option {0:?}\n  help: the options are {words}", words = table::words())]
    Word(String),
    /// A build argument that looks like one of ours.
    #[error(
        "{name}: ci-build has no such build argument\n  help: is {meant} meant? those of ci-build are {all}; one of the Dockerfile's own needs a name that is less alike",
        all = table::arguments()
    )]
    Argument {
        /// What was given.
        name: String,
        /// The nearest that there is.
        meant: &'static str,
    },
}

impl Choices {
    /// Reads the syntax line without its `# syntax=`, and then the build arguments, which win over it.
    ///
    /// A `CI_BUILD_` argument that is none of ours is the Dockerfile's own: CI systems have called theirs so. Only what
    /// is a slip of the pen away from one of ours is an error.
    ///
    /// # Errors
    /// Something is asked for that does not exist.
    pub fn read<'a>(
        syntax_line: &str,
        arguments: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, ChoiceError> {
        let mut choices = Self::default();
        for word in syntax_line.split_whitespace().skip(1) {
            let named = word.split_once('=').and_then(|(name, value)| Some((table::of_word(name)?, value)));
            let (what, value) = named.ok_or_else(|| ChoiceError::Word(word.to_owned()))?;
            choices.choose(what, value, Origin::SyntaxLine)?;
        }
        let mut arguments: Vec<_> =
            arguments.into_iter().filter(|(name, _)| table::may_be_ours(name)).collect();
        // Of several errors always the same is told.
        arguments.sort_unstable();
        for (name, value) in arguments {
            match table::of_argument(name) {
                Some((what, name)) => choices.choose(what, value, Origin::Argument(name))?,
                None => {
                    if let Some(meant) = table::meant_by(name) {
                        return Err(ChoiceError::Argument { name: name.to_owned(), meant });
                    }
                }
            }
        }
        Ok(choices)
    }

    fn choose(&mut self, what: &'static What, value: &str, place: Origin) -> Result<(), ChoiceError> {
        let chosen = (what.choose)(self, value);
        chosen.ok_or_else(|| ChoiceError::Value { place, what, value: value.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str, arguments: &[(&str, &str)]) -> Result<Choices, ChoiceError> {
        Choices::read(line, arguments.iter().copied())
    }

    #[test]
    fn a_build_argument_wins_over_the_syntax_line() {
        let policy = [("CI_BUILD_POLICY", "off")];
        assert_eq!(read("image policy=lock", &policy).unwrap().policy, Policy::Off);
        assert_eq!(read("image policy=lock", &[]).unwrap().policy, Policy::Lock);
        assert_eq!(read("image scope=host", &[("CI_BUILD_SCOPE", "build")]).unwrap().scope, Scope::Build);
        assert_eq!(read("image", &[]), Ok(Choices::default()));
        assert_eq!(read("", &[]), Ok(Choices::default()));
    }

    #[test]
    fn every_option_is_read() {
        const DURATIONS: &str = r#"{"schema":1,"seconds":{"72d2863ae1bbc919":4}}"#;
        let arguments = [
            ("CI_BUILD_NO_CACHE", "keep"),
            ("CI_BUILD_CHECK", "off"),
            ("CI_BUILD_DURATIONS", DURATIONS),
            ("OTHER", "x"),
        ];
        let expected = Choices {
            policy: Policy::Order,
            scope: Scope::Host,
            upstream: Some("docker/dockerfile:1".to_owned()),
            no_cache: NoCache::Keep,
            check: Check::Off,
            durations: Durations::parse(DURATIONS).unwrap(),
        };
        let line = "image\tpolicy=order scope=host  upstream=docker/dockerfile:1";
        assert_eq!(read(line, &arguments), Ok(expected));
    }

    #[test]
    fn what_does_not_exist_is_named_with_what_does() {
        let error = |line, arguments: &[_]| read(line, arguments).unwrap_err().to_string();
        insta::assert_snapshot!(error("image policy=fast", &[]), @r#"
        # syntax line: there is no policy "fast"
          help: the policies are auto, lock, order, prime, namespace, off
        "#);
        insta::assert_snapshot!(error("image scope=", &[]), @r#"
        # syntax line: there is no scope ""
          help: the scopes are build, host
        "#);
        insta::assert_snapshot!(error("image upstream=", &[]), @r#"
        # syntax line: there is no image ""
          help: the images are those of a registry or of the engine, as docker/dockerfile:1
        "#);
        insta::assert_snapshot!(error("image  color=red", &[]), @r#"
        # syntax line: there is no option "color=red"
          help: the options are policy=NAME, scope=NAME, upstream=IMAGE
        "#);
        insta::assert_snapshot!(error("image policy", &[]), @r#"
        # syntax line: there is no option "policy"
          help: the options are policy=NAME, scope=NAME, upstream=IMAGE
        "#);
        insta::assert_snapshot!(error("", &[("CI_BUILD_POLICY", "")]), @r#"
        CI_BUILD_POLICY: there is no policy ""
          help: the policies are auto, lock, order, prime, namespace, off
        "#);
        insta::assert_snapshot!(error("", &[("CI_BUILD_SCOPE", "world")]), @r#"
        CI_BUILD_SCOPE: there is no scope "world"
          help: the scopes are build, host
        "#);
        insta::assert_snapshot!(error("", &[("CI_BUILD_NO_CACHE", "true")]), @r#"
        CI_BUILD_NO_CACHE: there is no setting "true"
          help: the settings are upstream, keep
        "#);
        insta::assert_snapshot!(error("", &[("CI_BUILD_CHECK", "0")]), @r#"
        CI_BUILD_CHECK: there is no setting "0"
          help: the settings are on, off
        "#);
        insta::assert_snapshot!(error("", &[("CI_BUILD_DURATIONS", "{}")]), @r#"
        CI_BUILD_DURATIONS: there is no document "{}"
          help: the documents are as {"schema":1,"seconds":{"72d2863ae1bbc919":4}}
        "#);
        insta::assert_snapshot!(error("", &[("CI_BUILD_NOCACHE", "keep")]), @r"
        CI_BUILD_NOCACHE: ci-build has no such build argument
          help: is CI_BUILD_NO_CACHE meant? those of ci-build are CI_BUILD_POLICY, CI_BUILD_SCOPE, CI_BUILD_NO_CACHE, CI_BUILD_DURATIONS, CI_BUILD_CHECK; one of the Dockerfile's own needs a name that is less alike
        ");
    }

    #[test]
    fn slips_of_the_pen_are_errors_and_other_names_are_the_dockerfiles_own() {
        for slip in
            ["CI_BUILD_POLCIY", "CI_BUILD_SCOPES", "CI_BUILD_NO-CACHE", "ci_build_check", "CI_BUILD_CHEK"]
        {
            assert!(matches!(read("", &[(slip, "x")]), Err(ChoiceError::Argument { .. })), "{slip}");
        }
        for own in ["CI_BUILD_ID", "CI_BUILD_REF_SLUG", "CI_BUILD_STAGE", "CI_BUILD_", "CI_BUILDER", "POLICY"]
        {
            assert_eq!(read("", &[(own, "x")]), Ok(Choices::default()), "{own}");
        }
    }

    #[test]
    fn the_table_has_every_value() {
        let values = |name| {
            let what = OPTIONS.iter().find(|what| what.name == name).unwrap();
            let Values::OneOf(values) = what.values else { panic!("{name}") };
            values.iter().map(|value| value.name).collect::<Vec<_>>()
        };
        assert_eq!(values("policy"), Policy::ALL.map(Policy::name));
        assert_eq!(values("scope"), Scope::ALL.map(Scope::name));
        for what in &OPTIONS {
            if let Values::OneOf(values) = what.values {
                for value in values {
                    assert!((what.choose)(&mut Choices::default(), value.name).is_some(), "{}", value.name);
                }
                let mut chosen = Choices::default();
                assert!(values.iter().any(|value| value.name == what.default));
                (what.choose)(&mut chosen, what.default).unwrap();
                assert_eq!(chosen, Choices::default(), "{}", what.name);
            }
        }
    }
}
