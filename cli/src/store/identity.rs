//! Which store is meant, whatever the way to it: the engine's own identity, or a name.

use std::fmt;
use std::str::FromStr;

use crate::image::Digest;

/// What a lock is about. Two sockets of one engine are one identity, two engines are two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// A name that the user gave, which needs no engine.
    Named(String),
    /// The `ID` that a Docker engine tells of itself.
    Docker(String),
    /// A namespace of a containerd, which tells of itself whose root directory it has.
    Containerd {
        /// What containerd calls itself: the UUID in its root directory.
        server: String,
        /// The namespace, whose images nobody sees in another one.
        namespace: String,
    },
}

/// Why text is no name of a store.
#[derive(Debug, thiserror::Error)]
#[error("a store's name has 1 to 200 characters, and no control characters")]
pub struct NameError;

/// Names that are file names as they are may have this many bytes.
const LONGEST: usize = 64;

impl Identity {
    /// The name of the store's directory. Different identities have different names: what is not kept as it
    /// is ends with `~` and a digest, and no name that is kept has a `~`.
    pub(super) fn file_name(&self) -> String {
        let (kind, text) = (self.kind(), self.to_string());
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if text.len() <= LONGEST && text.chars().all(is_plain) {
            return format!("{kind}.{text}");
        }
        let slug: String = text.chars().filter(|&c| is_plain(c)).take(32).collect();
        format!("{kind}.{slug}~{}", &Digest::of(text.as_bytes()).hex()[..32])
    }

    /// Which kind of identity this is, for scripts.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Named(_) => "name",
            Self::Docker(_) => "docker",
            Self::Containerd { .. } => "containerd",
        }
    }
}

impl FromStr for Identity {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        let is_name = (1..=200).contains(&name.chars().count()) && !name.chars().any(char::is_control);
        if is_name { Ok(Self::Named(name.into())) } else { Err(NameError) }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(text) | Self::Docker(text) => f.write_str(text),
            // No UUID has a slash.
            Self::Containerd { server, namespace } => write!(f, "{server}/{namespace}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_names_stay_readable() {
        let name = |text: &str| Identity::Named(text.into()).file_name();
        insta::assert_snapshot!(name("nightly-1.2"), @"name.nightly-1.2");
        insta::assert_snapshot!(name("/run/lock/a b"), @"name.runlockab~785a097a069f2b82c402f7e94a44fa16");
        insta::assert_snapshot!(Identity::Docker("ABCD:EFGH".into()).file_name(), @"docker.ABCDEFGH~665ef27d957c8593327e7d4d327b5204");
        let containerd = Identity::Containerd { server: "d5c0".into(), namespace: "k8s.io".into() };
        insta::assert_snapshot!(containerd.file_name(), @"containerd.d5c0k8s.io~1592772165edccd58faa8680dbcba207");
        assert!("".parse::<Identity>().is_err());
        assert!("a\nb".parse::<Identity>().is_err());
    }

    proptest! {
        #[test]
        fn a_file_name_is_one_safe_component_and_tells_identities_apart(a in ".{1,80}", b in ".{1,80}") {
            let [first, second] = [&a, &b].map(|text| Identity::Named(text.clone()).file_name());
            prop_assert!(first.len() < 120);
            prop_assert!(first.bytes().all(|b| b.is_ascii_graphic() && b != b'/'));
            prop_assert_eq!(a == b, first == second);
            prop_assert_ne!(first, Identity::Docker(a).file_name());
        }
    }
}
