//! What is asked for, as words for another process: all of it, whether flags, variables or files said so.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;

use super::super::format::Format;
use super::Arguments;
use super::usage::Usage;
use crate::error::Failure;
use crate::lapse;
use crate::sweep::Rules;

/// A flag with its value in one word, so that a value that begins with a dash is none itself.
fn flag(name: &str, value: &str) -> String {
    format!("--{name}={value}")
}

/// A time as [`super::super::duration`] reads it, without spaces.
fn time(time: Duration) -> String {
    if time.subsec_nanos() == 0 {
        lapse::shown(time).replace(' ', "")
    } else {
        format!("{}ms", time.as_millis())
    }
}

fn value(value: impl ValueEnum) -> Option<String> {
    Some(value.to_possible_value()?.get_name().to_owned())
}

impl Arguments {
    /// What is asked for in words, but for what belongs to a directory or to this host.
    pub(super) fn words(&self) -> Result<Vec<String>, Failure> {
        let job = self.job()?;
        let Rules { older_than, max_size, max_files, grace, include, exclude, keep } = &job.rules;
        let mut words = Vec::new();
        words.extend(older_than.map(|older_than| flag("older-than", &time(older_than))));
        words.extend(max_size.map(|size| flag("max-size", &format!("{size}B"))));
        words.extend(max_files.map(|files| flag("max-files", &files.to_string())));
        words.push(flag("grace", &time(*grace)));
        for (name, patterns) in [("include", include), ("exclude", exclude), ("keep", keep)] {
            words.extend(patterns.iter().map(|pattern| flag(name, &pattern.to_string())));
        }
        words.extend(self.preset.iter().map(|name| flag("preset", &name.to_string())));
        words.extend(self.ops_per_second.map(|rate| flag("ops-per-second", &rate.to_string())));
        words.push(flag("batch", &self.batch.to_string()));
        words.extend(value(self.by).map(|by| flag("by", &by)));
        words.extend(self.empty.and_then(value).map(|empty| flag("empty", &empty)));
        words.extend(self.dry_run.then(|| "--dry-run".into()));
        words.extend(self.verbose.then(|| "--verbose".into()));
        Ok(words)
    }

    /// What is asked for in words, for this host and from any directory of it.
    pub(super) fn words_of_this_host(&self) -> Result<Vec<String>, Failure> {
        let mut words = vec!["sweep".to_owned()];
        words.extend(self.words()?);
        words.extend(self.owner.iter().map(|owner| flag("owner", owner)));
        words.extend(self.whole_file_system.then(|| "--whole-file-system".into()));
        words.extend(value(self.io).map(|io| flag("io", &io)));
        words.extend(self.threads.map(|threads| flag("threads", &threads.to_string())));
        words.push(flag("wait", &time(self.wait)));
        words.extend((self.shown.format == Format::Json).then(|| "--format=json".into()));
        if let Some(trail) = &self.trail {
            words.push(flag("trail", &text(absolute(trail))?));
        }
        for directory in &self.directories {
            words.push(text(absolute(directory))?);
        }
        Ok(words)
    }
}

pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

pub(super) fn text(word: impl Into<OsString>) -> Result<String, Usage> {
    word.into().into_string().map_err(Usage::NoText)
}
