//! What a stage is after an instruction: its file system, its variables, where and as whom its commands run.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::expand;
use super::instruction::{Body, Instruction};
use super::read::{BuildError, Position};
use crate::graph::StepIndex;

/// What something is made of, in one number: equal for what BuildKit would make once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Of parts, each with its length, so that they cannot run into each other.
    pub(super) fn of<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    pub(super) fn short(&self) -> String {
        self.0[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Variables by name.
#[derive(Debug, Clone, Default)]
pub(super) struct Environment(BTreeMap<String, String>);

impl Environment {
    pub(super) fn set(&mut self, name: String, value: String) {
        self.0.insert(name, value);
    }

    pub(super) fn get(&self, name: &str) -> Option<&String> {
        self.0.get(name)
    }

    /// Names and values, by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &String)> {
        self.0.iter()
    }

    pub(super) fn expand(&self, word: &str, escape: char, place: Position) -> Result<String, BuildError> {
        if !word.contains(['$', '\'', '"', escape]) {
            return Ok(word.to_owned());
        }
        let lookup = |name: &str| self.0.get(name).cloned();
        let expanded = expand::expand(word, escape, &lookup);
        expanded.map(|expanded| expanded.value).map_err(|error| place.error(error.to_string(), None))
    }

    /// An ARG before the first FROM.
    pub(super) fn declare_global(
        &mut self,
        instruction: &Instruction<'_>,
        escape: char,
        given: &BTreeMap<String, String>,
    ) -> Result<(), BuildError> {
        let Body::Arg(arguments) = &instruction.body else { return Ok(()) };
        for (name, default) in arguments {
            let value = match (given.get(&**name), default) {
                (Some(given), _) => given.clone(),
                (None, Some(default)) => self.expand(default, escape, Position::of(instruction))?,
                // An automatic argument keeps its value.
                (None, None) => continue,
            };
            self.set(name.to_string(), value);
        }
        Ok(())
    }
}

/// The file system and the configuration after an instruction.
#[derive(Debug, Clone)]
pub(super) struct State {
    /// What made the file system, if a step of ours did.
    pub step: Option<StepIndex>,
    pub fingerprint: Fingerprint,
    pub environment: Environment,
    pub workdir: String,
    pub user: String,
    pub shell: Vec<String>,
    pub platform: Option<String>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            step: None,
            fingerprint: Fingerprint::of([]),
            environment: Environment::default(),
            workdir: "/".to_owned(),
            user: String::new(),
            shell: Vec::new(),
            platform: None,
        }
    }
}

impl State {
    /// An image on a platform; none for an empty one.
    pub(super) fn new(image: Option<&str>, platform: String) -> Self {
        let fingerprint = match image {
            Some(image) => Fingerprint::of([b"image", image.as_bytes(), platform.as_bytes()]),
            None => Fingerprint::of([]),
        };
        Self { fingerprint, platform: Some(platform), ..Self::default() }
    }
}
