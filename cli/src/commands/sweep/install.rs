//! `ci-build sweep --install`: what is asked for now, to be done every day.

use std::collections::BTreeMap;
use std::process::ExitCode;

use super::super::print_line;
use super::usage::Usage;
use super::words::{absolute, text};
use super::{Arguments, users};
use crate::error::Failure;
use crate::sweep::install::{Scheduler, Setup};
use crate::sweep::{Job, presets};

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
    fn setup(&self, jobs: &[Job]) -> Result<Setup, Failure> {
        let program = std::env::current_exe().unwrap_or_else(|_| "/usr/local/bin/ci-build".into());
        // The trail is made where it is not there yet.
        let trail = self.trail.iter().filter_map(|trail| Some(absolute(trail).parent()?.to_path_buf()));
        let directories = jobs.iter().map(|job| absolute(&job.path)).chain(trail);
        let directories = directories.map(text);
        let environment = self.environment()?;
        Ok(Setup {
            program: text(program)?,
            words: self.words_of_this_host()?,
            directories: directories.collect::<Result<_, _>>()?,
            user: environment.get("HOME").and_then(|home| users::owner(home.as_ref())),
            environment,
        })
    }

    /// The variables that this sweep goes by: where its caches are. What else variables say is among the words.
    fn environment(&self) -> Result<BTreeMap<String, String>, Usage> {
        let presets = self.preset.iter().filter_map(|name| name.preset());
        let set = presets::variables(presets).into_iter().filter_map(|name| {
            let value = std::env::var_os(&name)?;
            Some((name, value))
        });
        set.map(|(name, value)| Ok((name, text(value)?))).collect()
    }
}
