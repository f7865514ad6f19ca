//! How a build is mended: decided from what is asked, who builds, and what the Dockerfile says.

use std::fmt;

use ci_build_frontend::plan::Policy;

use super::builder::Driver;

/// The frontend that may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frontend {
    /// An image that the builder can pull, by its name.
    Image(String),
    /// Our own, which an engine takes from us; by the name that it gets there. None where its binary is not to be found.
    Own(Option<String>),
    /// None: the text of the Dockerfile is rewritten.
    Text,
}

/// What the decision is made from.
#[derive(Debug)]
pub struct Situation<'a> {
    /// How hazards are mended, where that was asked.
    pub policy: Option<Policy>,
    /// Whether nothing is built.
    pub is_question: bool,
    /// Who builds.
    pub driver: &'a Driver,
    /// What may be used.
    pub frontend: &'a Frontend,
    /// The build argument `BUILDKIT_SYNTAX`, where it is given.
    pub argument: Option<&'a str>,
    /// Whether the Dockerfile can be read here.
    pub is_seen: bool,
    /// Its syntax line, where it has one.
    pub syntax_line: Option<&'a str>,
}

/// How a build is mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// Not at all: nobody asked for it, or somebody chose another frontend.
    Plain,
    /// The user chose our frontend already.
    Chosen,
    /// By this value of `BUILDKIT_SYNTAX`.
    Through(String),
    /// In the Dockerfile's text.
    Text,
    /// Not at all, though it should be.
    Unmended(Obstacle),
}

/// Why a build is not mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// The builder has a store of its own, and the Dockerfile is not on this machine.
    Remote(String),
    /// The Dockerfile is not on this machine, and the frontend's binary is not either.
    NoBinary,
    /// The text was to be rewritten, and is not on this machine.
    NoText,
    /// The text cannot be mended.
    Text(String),
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remote(driver) => {
                write!(f, "a {driver} builder does not see the frontend, and ci-build not the Dockerfile")
            }
            Self::NoBinary => {
                f.write_str("the frontend's binary is not there, and ci-build does not see the Dockerfile")
            }
            Self::NoText => f.write_str("ci-build does not see the Dockerfile"),
            Self::Text(message) => f.write_str(message),
        }
    }
}

/// The end of the name of each of our images, whatever the registry and the tag.
const OURS: &str = "ci-build/frontend";

/// Whether a syntax line names our frontend: the configured image, or one that is called as ours are.
fn is_ours(line: &str, configured: &Frontend) -> bool {
    let image = line.split_whitespace().next().unwrap_or_default();
    let repository = repository(image);
    let is_configured = match configured {
        Frontend::Image(name) | Frontend::Own(Some(name)) => self::repository(name) == repository,
        Frontend::Own(None) | Frontend::Text => false,
    };
    is_configured
        || repository == OURS
        || repository.strip_suffix(OURS).is_some_and(|rest| rest.ends_with('/'))
}

/// An image's name without tag and digest.
fn repository(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    }
}

/// Decides.
pub fn choose(situation: &Situation) -> Way {
    let Situation { policy, is_question, driver, frontend, argument, is_seen, syntax_line } = *situation;
    if let Some(argument) = argument {
        return if is_ours(argument, frontend) { Way::Chosen } else { Way::Plain };
    }
    if syntax_line.is_some_and(|line| is_ours(line, frontend)) {
        return Way::Chosen;
    }
    if policy == Some(Policy::Off) {
        return Way::Plain;
    }
    let image = match (frontend, driver) {
        (Frontend::Image(name), _) | (Frontend::Own(Some(name)), Driver::Docker) => Some(name),
        _ => None,
    };
    match (image, is_seen) {
        (Some(image), _) => Way::Through(match syntax_line.and_then(|line| line.split_whitespace().next()) {
            Some(upstream) => format!("{image} upstream={upstream}"),
            None => image.clone(),
        }),
        // What is told of a text has to be about the user's.
        (None, true) if is_question => Way::Plain,
        (None, true) => Way::Text,
        (None, false) => Way::Unmended(match (frontend, driver) {
            (Frontend::Text, _) => Obstacle::NoText,
            (_, Driver::Other(driver)) => Obstacle::Remote(driver.clone()),
            (_, Driver::Docker) => Obstacle::NoBinary,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "localhost/ci-build/frontend:0.1.0";

    fn own() -> Frontend {
        Frontend::Own(Some(OWN.into()))
    }

    fn container() -> Driver {
        Driver::Other("docker-container".into())
    }

    fn situation<'a>(driver: &'a Driver, frontend: &'a Frontend) -> Situation<'a> {
        Situation {
            policy: None,
            is_question: false,
            driver,
            frontend,
            argument: None,
            is_seen: true,
            syntax_line: None,
        }
    }

    #[test]
    fn an_engine_is_given_the_frontend_and_other_builders_a_text() {
        let through = |image: &str| Way::Through(image.to_owned());
        let image = Frontend::Image("registry.example/f:1".into());
        let (docker, container) = (Driver::Docker, container());
        assert_eq!(choose(&situation(&docker, &own())), through(OWN));
        assert_eq!(choose(&situation(&docker, &image)), through("registry.example/f:1"));
        assert_eq!(choose(&situation(&container, &image)), through("registry.example/f:1"));
        assert_eq!(choose(&situation(&container, &own())), Way::Text);
        assert_eq!(choose(&situation(&docker, &Frontend::Own(None))), Way::Text);
        assert_eq!(choose(&situation(&docker, &Frontend::Text)), Way::Text);
        let question = Situation { is_question: true, ..situation(&container, &Frontend::Text) };
        assert_eq!(choose(&question), Way::Plain);
    }

    #[test]
    fn what_is_out_of_sight_is_mended_by_an_image_or_not_at_all() {
        let out_of_sight = |driver: &Driver, frontend: &Frontend| {
            choose(&Situation { is_seen: false, ..situation(driver, frontend) })
        };
        let unmended = |driver: &Driver, frontend: &Frontend| match out_of_sight(driver, frontend) {
            Way::Unmended(obstacle) => obstacle.to_string(),
            way => panic!("{way:?}"),
        };
        assert_eq!(out_of_sight(&Driver::Docker, &own()), Way::Through(OWN.into()));
        insta::assert_snapshot!(unmended(&container(), &own()), @"a docker-container builder does not see the frontend, and ci-build not the Dockerfile");
        insta::assert_snapshot!(unmended(&Driver::Docker, &Frontend::Own(None)), @"the frontend's binary is not there, and ci-build does not see the Dockerfile");
        insta::assert_snapshot!(unmended(&Driver::Docker, &Frontend::Text), @"ci-build does not see the Dockerfile");
    }

    #[test]
    fn another_frontend_stays_behind_ours() {
        let own = own();
        let line = Some("docker/dockerfile:1 x=y");
        let behind = Situation { syntax_line: line, ..situation(&Driver::Docker, &own) };
        assert_eq!(choose(&behind), Way::Through(format!("{OWN} upstream=docker/dockerfile:1")));
    }

    #[test]
    fn what_the_user_chose_stays() {
        let own = own();
        let of = |argument: Option<&str>, line: Option<&str>, policy| {
            let base = situation(&Driver::Docker, &own);
            choose(&Situation { argument, syntax_line: line, policy, ..base })
        };
        assert_eq!(of(Some("docker/dockerfile:1"), None, None), Way::Plain);
        assert_eq!(of(Some(OWN), None, None), Way::Chosen);
        assert_eq!(of(None, Some("localhost/ci-build/frontend:9 policy=lock"), None), Way::Chosen);
        assert_eq!(of(None, Some("r.example:5000/ci-build/frontend"), None), Way::Chosen);
        assert_eq!(of(None, Some("ci-build/frontend@sha256:0"), Some(Policy::Off)), Way::Chosen);
        assert_eq!(of(None, None, Some(Policy::Off)), Way::Plain);
        assert_eq!(of(None, Some("docker/dockerfile:1"), Some(Policy::Off)), Way::Plain);
        assert!(matches!(of(None, Some("x/not-ci-build/frontend"), None), Way::Through(_)));
    }
}
