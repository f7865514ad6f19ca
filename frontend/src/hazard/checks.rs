//! What a file says about the rules that it is checked by: `# check=skip=SharedCacheRace;error=true`.
//!
//! As upstream reads it (`frontend/dockerfile/linter`): options parted by `;`, rules by `,`, names exact. What upstream
//! complains about is ignored here as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use super::{Finding, Severity};
use crate::graph::{BuildGraph, Location};

/// The options of one `# check=`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckOptions {
    skip: Skip,
    /// Whether findings fail the check.
    error: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Skip {
    All,
    Rules(BTreeSet<String>),
}

impl Default for Skip {
    fn default() -> Self {
        Self::Rules(BTreeSet::new())
    }
}

/// An option that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no check option {0:?}")]
pub struct UnknownOption(pub String);

impl FromStr for CheckOptions {
    type Err = UnknownOption;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut options = Self::default();
        for option in text.split(';') {
            let unknown = || UnknownOption(option.to_owned());
            let (key, value) = option.split_once('=').ok_or_else(unknown)?;
            match (key.trim(), value.trim()) {
                ("skip", "all") => options.skip = Skip::All,
                ("skip", rules) => {
                    let rules = rules.split(',').map(|rule| rule.trim().to_owned());
                    options.skip = Skip::Rules(rules.collect());
                }
                ("error", value) => options.error = boolean(value).ok_or_else(unknown)?,
                // Upstream's own rules that are not on by default: none of ours.
                ("experimental", _) => {}
                _ => return Err(unknown()),
            }
        }
        Ok(options)
    }
}

/// What Go's `strconv.ParseBool` takes.
fn boolean(value: &str) -> Option<bool> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

impl CheckOptions {
    fn skips(&self, rule: &str) -> bool {
        match &self.skip {
            Skip::All => true,
            Skip::Rules(rules) => rules.contains(rule),
        }
    }
}

/// Which findings the files of a build do not want, and which they do not bear. The lines of each speak of its own steps
/// alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checks(Vec<FileChecks>);

/// What one file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileChecks {
    name: String,
    file: CheckOptions,
    /// By the line of a FROM: for all of its stage. Every stage is there.
    stages: BTreeMap<u32, CheckOptions>,
    /// By the first line of an instruction.
    instructions: BTreeMap<u32, CheckOptions>,
}

impl FileChecks {
    /// What holds for the whole file, which steps name so.
    #[must_use]
    pub fn new(name: &str, file: CheckOptions) -> Self {
        Self { name: name.to_owned(), file, ..Self::default() }
    }

    /// Sets what holds from the FROM on this line to the next one.
    pub fn set_stage(&mut self, line: u32, options: CheckOptions) {
        self.stages.insert(line, options);
    }

    /// Sets what holds for the instruction that begins on this line.
    pub fn set_instruction(&mut self, line: u32, options: CheckOptions) {
        self.instructions.insert(line, options);
    }

    fn over(&self, line: u32) -> impl Iterator<Item = &CheckOptions> {
        let stage = self.stages.range(..=line).next_back().map(|(_, options)| options);
        [Some(&self.file), stage, self.instructions.get(&line)].into_iter().flatten()
    }
}

impl FromIterator<FileChecks> for Checks {
    /// The build's own file comes first.
    fn from_iter<I: IntoIterator<Item = FileChecks>>(files: I) -> Self {
        Self(files.into_iter().collect())
    }
}

impl Checks {
    /// Whether nothing is to be said of a finding: its rule is skipped where the finding is placed.
    #[must_use]
    pub fn skip(&self, graph: &BuildGraph, finding: &Finding) -> bool {
        self.over(graph, finding).any(|options| options.skips(finding.rule.name))
    }

    /// Whether a finding fails the check whatever the command line says.
    #[must_use]
    pub fn fails(&self, graph: &BuildGraph, finding: &Finding) -> bool {
        finding.severity >= Severity::Warning && self.over(graph, finding).any(|options| options.error)
    }

    /// The options that hold where a finding is placed: those of the build's own file as a whole hold everywhere.
    fn over(&self, graph: &BuildGraph, finding: &Finding) -> impl Iterator<Item = &CheckOptions> {
        let location = graph.step(finding.at.step).location.as_ref();
        let of = |location: &Location| self.0.iter().find(|file| file.name == location.file);
        let placed = location.and_then(|location| Some(of(location)?.over(location.line)));
        self.0.first().map(|own| &own.file).into_iter().chain(placed.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_upstream_reads_them() {
        let read = |text: &str| text.parse::<CheckOptions>().ok();
        assert!(read("skip=A, B ;error=true").is_some_and(|o| o.skips("A") && o.skips("B") && o.error));
        assert!(read("skip=all").is_some_and(|options| options.skips("Anything") && !options.error));
        assert!(read("skip=A").is_some_and(|options| !options.skips("a")));
        assert!(read("experimental=all;error=0").is_some());
        for wrong in ["", "skip", "skip=A;", "error=yes", "foo=bar", "skip=A;foo=1"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
