//! `ci-build sweep --install`: what is asked for now, to be done every day.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::super::print_line;
use super::usage::Usage;
use super::{Arguments, users};
use crate::error::Failure;
use crate::sweep::install::{self, Scheduler, Setup};
use crate::sweep::{Job, presets};

/// What the variables of a sweep begin with.
const VARIABLES: &str = "CI_BUILD_SWEEP_";

impl Arguments {
    /// Prints the files, or writes them.
    pub(super) fn install(&self, scheduler: Scheduler, jobs: &[Job]) -> Result<ExitCode, Failure> {
        for file in scheduler.files(&self.setup(jobs)?)? {
            match &self.install_to {
                None => print_line(format!("# {}\n{}", file.place, file.text))?,
                Some(directory) => {
                    let name = file.place.rsplit('/').next().unwrap_or_default();
                    let path = directory.join(name);
                    std::fs::write(&path, &file.text)
                        .map_err(|source| Usage::Install { path: path.clone(), source })?;
                    print_line(path.display())?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// What is to be run. It runs somewhere else, so that no path of it is relative.
    fn setup(&self, jobs: &[Job]) -> Result<Setup, Usage> {
        let program = std::env::current_exe().unwrap_or_else(|_| "/usr/local/bin/ci-build".into());
        let words = std::env::args_os().skip(1).map(|word| {
            let is_path = self.directories.iter().chain(&self.trail).any(|path| path.as_os_str() == word);
            text(if is_path { absolute(Path::new(&word)).into_os_string() } else { word })
        });
        let words = words.collect::<Result<Vec<_>, _>>()?;
        // The trail is made where it is not there yet.
        let trail = self.trail.iter().filter_map(|trail| Some(absolute(trail).parent()?.to_path_buf()));
        let directories = jobs.iter().map(|job| absolute(&job.path)).chain(trail);
        let directories = directories.map(|path| text(path.into_os_string()));
        let environment = self.environment()?;
        Ok(Setup {
            program: text(program.into_os_string())?,
            words: install::without(&words),
            directories: directories.collect::<Result<_, _>>()?,
            user: environment.get("HOME").and_then(|home| users::owner(home.as_ref())),
            environment,
        })
    }

    /// The variables that this sweep goes by: where its caches are, and what was asked for by variables.
    fn environment(&self) -> Result<BTreeMap<String, String>, Usage> {
        let presets = self.preset.iter().filter_map(|name| name.preset());
        let of_caches =
            presets::variables(presets).into_iter().map(|name| (name.clone(), std::env::var_os(name)));
        let own = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.to_str().filter(|name| name.starts_with(VARIABLES))?.to_owned();
            let is_directories = name == format!("{VARIABLES}DIR");
            Some((name, Some(if is_directories { directories(&value) } else { value })))
        });
        let set = of_caches.chain(own).filter_map(|(name, value)| Some((name, value?)));
        set.map(|(name, value)| Ok((name, text(value)?))).collect()
    }
}

/// Directories with colons between them.
fn directories(value: &OsStr) -> OsString {
    let paths: Vec<PathBuf> = std::env::split_paths(value).map(|path| absolute(&path)).collect();
    // What was split at colons has none.
    std::env::join_paths(paths).unwrap_or_else(|_| value.to_owned())
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

fn text(word: OsString) -> Result<String, Usage> {
    word.into_string().map_err(Usage::NoText)
}
