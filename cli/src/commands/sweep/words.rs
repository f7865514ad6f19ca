//! What is asked for, as words for another process.

use std::time::Duration;

use clap::ValueEnum as _;

use super::Arguments;
use crate::error::Failure;
use crate::sweep::Rules;

impl Arguments {
    /// What is asked for in words, but for what belongs to a directory or to this host.
    pub(super) fn words(&self) -> Result<Vec<String>, Failure> {
        let job = self.job()?;
        let Rules { older_than, max_size, max_files, grace, include, exclude, keep } = &job.rules;
        let mut words = Vec::new();
        let mut flag = |name: &str, value: String| words.extend([format!("--{name}"), value]);
        let seconds = |time: &Duration| format!("{}ms", time.as_millis());
        older_than.iter().for_each(|time| flag("older-than", seconds(time)));
        max_size.iter().for_each(|size| flag("max-size", format!("{size}B")));
        max_files.iter().for_each(|files| flag("max-files", files.to_string()));
        flag("grace", seconds(grace));
        for (name, patterns) in [("include", include), ("exclude", exclude), ("keep", keep)] {
            patterns.iter().for_each(|pattern| flag(name, pattern.to_string()));
        }
        self.preset.iter().for_each(|name| flag("preset", name.to_string()));
        self.ops_per_second.iter().for_each(|rate| flag("ops-per-second", rate.to_string()));
        flag("batch", self.batch.to_string());
        for (name, value) in [
            ("by", self.by.to_possible_value()),
            ("empty", self.empty.and_then(|empty| empty.to_possible_value())),
        ] {
            value.iter().for_each(|value| flag(name, value.get_name().into()));
        }
        words.extend(self.dry_run.then(|| "--dry-run".into()));
        words.extend(self.verbose.then(|| "--verbose".into()));
        Ok(words)
    }
}
