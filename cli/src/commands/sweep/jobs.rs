//! From what is asked for to what is done: the directories, and how each is swept.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::usage::Usage;
use super::words::absolute;
use super::{Arguments, note, users};
use crate::error::Failure;
use crate::store::Sweeping;
use crate::sweep::{Allowed, Empty, How, Job, Layout, Owners, Rules, presets};

/// Refuses a part of a cache whose tool has its lock in the directory above, where it would not be asked for.
fn not_above(path: &Path, locks: &[PathBuf]) -> Result<(), Usage> {
    let path = absolute(path);
    match path.parent() {
        Some(whole) if locks.iter().any(|lock| whole.join(lock).exists()) => {
            Err(Usage::Part { whole: whole.into(), path })
        }
        _ => Ok(()),
    }
}

impl Arguments {
    /// Two a core: what is not in memory is waited for, and then the other one has the core (docs/decisions.md has figures).
    pub(super) fn threads(&self) -> usize {
        const MOST: usize = 8;
        let twice =
            || std::thread::available_parallelism().map_or(1, NonZero::get).saturating_mul(2).min(MOST);
        self.threads.map_or_else(twice, |threads| threads.get() as usize)
    }

    /// What is to be swept. Caches of presets are passed over where they are not there, unless it is to be swept later, when they may be.
    pub(super) fn jobs(&self) -> Result<Vec<Job>, Failure> {
        let template = self.job()?;
        let places = || self.preset.iter().filter_map(|name| name.preset()).flat_map(|preset| &preset.places);
        let of_place = |place: &presets::CacheDirectory, path: PathBuf| {
            let mut job = template.clone();
            job.path = path;
            job.layout = place.layout;
            // A test reads all of them.
            job.rules.exclude.extend(place.exclude.iter().filter_map(|pattern| pattern.parse().ok()));
            job.locks.clone_from(&place.locks);
            job.how.empty = self.empty.map_or(place.empty, Into::into);
            job.allowed.whole_file_system |= place.whole_file_system;
            job.allowed.home |= place.home;
            job
        };
        let job_of = |path: &PathBuf| Job { path: path.clone(), ..template.clone() };
        match (&*self.directories, &*self.preset) {
            ([], []) => Err(Usage::Nothing.into()),
            (directories, []) => Ok(directories.iter().map(job_of).collect()),
            ([], _) => {
                let there = |place: &presets::CacheDirectory| {
                    let path = place.path(|name| std::env::var_os(name));
                    path.filter(|path| self.install.is_some() || path.is_dir())
                };
                let jobs: Vec<Job> =
                    places().filter_map(|place| Some(of_place(place, there(place)?))).collect();
                if jobs.is_empty() {
                    note("nothing to sweep: none of these caches is there");
                }
                Ok(jobs)
            }
            (directories, [_]) => {
                let place = places().next().ok_or(Usage::Nothing)?;
                directories.iter().try_for_each(|path| not_above(path, &place.locks))?;
                Ok(directories.iter().map(|path| of_place(place, path.clone())).collect())
            }
            _ => Err(Usage::Kinds.into()),
        }
    }

    /// All but the directory.
    pub(super) fn job(&self) -> Result<Job, Failure> {
        const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
        const GRACE: Duration = Duration::from_secs(600);
        let is_limited = self.max_size.is_some() || self.max_files.is_some();
        let older_than = self.older_than.or((!is_limited).then_some(WEEK));
        let grace = self.grace.unwrap_or_else(|| older_than.unwrap_or(GRACE).min(GRACE));
        if let Some(older_than) = older_than.filter(|&time| grace > time) {
            return Err(Usage::Grace { grace, older_than }.into());
        }
        let rules = Rules {
            older_than,
            max_size: self.max_size,
            max_files: self.max_files,
            grace,
            include: self.include.clone(),
            exclude: self.exclude.clone(),
            keep: self.keep.clone(),
        };
        let how = How {
            owners: self.owners()?,
            batch: self.batch.get() as usize,
            per_second: self.ops_per_second.map(NonZero::get),
            empty: self.empty.map_or(Empty::Now, Into::into),
        };
        Ok(Job {
            path: PathBuf::new(),
            layout: Layout::Files,
            rules,
            by: self.by.into(),
            how,
            allowed: Allowed { whole_file_system: self.whole_file_system, home: false },
            locks: Vec::new(),
            wait: self.wait,
            threads: self.threads(),
            state: Sweeping::place()?,
            trail: self.trail.clone(),
        })
    }

    fn owners(&self) -> Result<Owners, Usage> {
        let own = rustix::process::geteuid();
        let mut users = Vec::new();
        for name in &self.owner {
            match (name.as_str(), name.parse()) {
                ("any", _) => return Ok(Owners::Any),
                ("self", _) => users.push(own.as_raw()),
                (_, Ok(number)) => users.push(number),
                (name, Err(_)) => users.push(users::number(name).ok_or_else(|| Usage::User(name.into()))?),
            }
        }
        Ok(match users.is_empty() {
            true if own.is_root() => Owners::Any,
            true => Owners::Only(vec![own.as_raw()]),
            false => Owners::Only(users),
        })
    }
}
