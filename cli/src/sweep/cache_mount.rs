//! A sweep within a cache mount of BuildKit, by a step that has it under its lock: nobody else reaches what is in one.
//!
//! The step runs this very program, which the build's context brings. `--no-cache` would empty the mount, so that a word which is
//! different each time has the step run.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::Timestamp;

use crate::docker_config::{DockerConfig, DockerConfigError};
use crate::error::{Blame, Explain};
use crate::image::{Architecture, ImageName};
use crate::{build, process};

/// Where the mount is in the step.
const TARGET: &str = "/ci-build-cache";

/// Where the program is in the step.
const PROGRAM: &str = "/ci-build-program";

/// One cache mount and how it is swept.
#[derive(Debug, Clone)]
pub struct CacheMount {
    /// Its id, as Dockerfiles have it.
    pub id: String,
    /// Its options by which it is another cache than that of the id alone, as [`options`] takes them.
    pub options: Option<String>,
    /// The image that the step runs in, where this program needs one.
    pub image: Option<ImageName>,
    /// The words of the sweep, but for the directory.
    pub words: Vec<String>,
}

/// Reads `uid=`, `gid=` and `mode=` of a mount: with them it is another cache of the same id (BuildKit's `convert_runmount.go`). `from=`, which
/// makes it another one too, would need that stage.
///
/// # Errors
/// How it is written.
pub fn options(text: &str) -> Result<String, String> {
    let is_one = |option: &str| match option.split_once('=') {
        Some(("uid" | "gid", number)) => number.parse::<u32>().is_ok(),
        Some(("mode", mode)) => u32::from_str_radix(mode, 8).is_ok(),
        _ => false,
    };
    if text.split(',').all(is_one) {
        Ok(text.into())
    } else {
        Err("write them as the mount does: uid=1000,gid=1000,mode=0755".into())
    }
}

/// Why a cache mount could not be swept.
#[derive(Debug, thiserror::Error)]
pub enum CacheMountError {
    /// This program is not to be had.
    #[error("cannot read this program")]
    Program(#[source] io::Error),
    /// It does not run in an image without a C library.
    #[error("this program is linked dynamically, so it does not run in a step without an image")]
    Dynamic,
    /// The id has a character that a Dockerfile cannot say.
    #[error("'{0}' is no id of a cache mount")]
    Id(String),
    /// The build's files cannot be written.
    #[error("cannot write the files of the build")]
    Write(#[source] io::Error),
    /// docker's configuration is unreadable.
    #[error(transparent)]
    Config(#[from] DockerConfigError),
    /// buildx does not start.
    #[error(transparent)]
    Buildx(#[from] process::Error),
}

impl Explain for CacheMountError {
    fn blame(&self) -> Blame {
        match self {
            Self::Dynamic | Self::Id(_) => Blame::Input,
            Self::Program(_) | Self::Write(_) => Blame::Surroundings,
            Self::Config(error) => error.blame(),
            Self::Buildx(error) => error.blame(),
        }
    }

    fn help(&self) -> Vec<String> {
        match self {
            Self::Dynamic => vec![
                "--cache-mount-image names an image with the C library of this host, such as debian:12"
                    .into(),
            ],
            Self::Id(_) => vec!["name it as `id=` of the mount does, or by the mount's target".into()],
            Self::Program(_) | Self::Write(_) => Vec::new(),
            Self::Config(error) => error.help(),
            Self::Buildx(error) => error.help(),
        }
    }
}

impl CacheMount {
    /// Sweeps it, and gives the build's exit code.
    ///
    /// # Errors
    /// When the build cannot be begun.
    pub fn sweep(&self) -> Result<u8, CacheMountError> {
        if self.image.is_none() {
            let bytes = std::fs::read(process::OURSELVES).map_err(CacheMountError::Program)?;
            Architecture::of_binary(&bytes).map_err(|_| CacheMountError::Dynamic)?;
        }
        let context = tempfile::tempdir().map_err(CacheMountError::Write)?;
        std::fs::copy(process::OURSELVES, context.path().join("ci-build")).map_err(CacheMountError::Write)?;
        let file = context.path().join("Dockerfile");
        std::fs::write(&file, self.dockerfile()?).map_err(CacheMountError::Write)?;
        let buildx = build::buildx(&DockerConfig::of(|name| std::env::var_os(name)))?;
        Ok(process::run_within(&mut command(&buildx, context.path(), &file), process::Limits::default())?
            .code)
    }

    /// The Dockerfile of the one step. Its words are JSON, which no shell reads.
    fn dockerfile(&self) -> Result<String, CacheMountError> {
        let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && !",\"'\\$=".contains(c);
        if self.id.is_empty() || !self.id.chars().all(is_plain) {
            return Err(CacheMountError::Id(self.id.clone()));
        }
        let image = self.image.as_ref().map_or_else(|| "scratch".into(), ToString::to_string);
        let program = format!("{PROGRAM}/ci-build");
        let fixed = ["--whole-file-system", "--owner", "any", "--io", "normal", TARGET];
        let words = [program.as_str(), "sweep"].into_iter().map(String::from);
        let words: Vec<String> =
            words.chain(self.words.iter().cloned()).chain(fixed.map(String::from)).collect();
        let words = serde_json::Value::from(words);
        let id = &self.id;
        let options = self.options.as_ref().map(|options| format!(",{options}")).unwrap_or_default();
        Ok(format!(
            "FROM {image}\nARG CI_BUILD_SWEEP_RUN\nENV CI_BUILD_STATE_DIR=/ci-build-state\n\
             RUN --mount=type=cache,id={id},target={TARGET},sharing=locked{options} --mount=type=bind,target={PROGRAM} {words}\n"
        ))
    }
}

fn command(buildx: &[OsString], context: &Path, file: &PathBuf) -> Command {
    let mut words = buildx.iter();
    let mut command = Command::new(words.next().cloned().unwrap_or_else(|| "docker-buildx".into()));
    command
        .args(words)
        .args(["build", "--progress", "plain", "--output", "type=cacheonly", "--file"])
        .arg(file);
    let run = format!("CI_BUILD_SWEEP_RUN={}", Timestamp::now().as_nanosecond());
    command.args(["--build-arg", &run]).arg(context);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_sweeps_the_mount_under_its_lock() {
        let words = ["--older-than", "7d", "--keep", "a \"b\""].map(String::from).to_vec();
        let mount = CacheMount { id: "/root/.m2".into(), options: None, image: None, words };
        insta::assert_snapshot!(mount.dockerfile().unwrap(), @r#"
        FROM scratch
        ARG CI_BUILD_SWEEP_RUN
        ENV CI_BUILD_STATE_DIR=/ci-build-state
        RUN --mount=type=cache,id=/root/.m2,target=/ci-build-cache,sharing=locked --mount=type=bind,target=/ci-build-program ["/ci-build-program/ci-build","sweep","--older-than","7d","--keep","a \"b\"","--whole-file-system","--owner","any","--io","normal","/ci-build-cache"]
        "#);
        let owned = CacheMount { options: Some(options("uid=1000,mode=0750").unwrap()), ..mount.clone() };
        assert!(owned.dockerfile().unwrap().contains(",sharing=locked,uid=1000,mode=0750 --mount=type=bind"));
        for text in ["", "uid=a", "mode=9", "from=x", "uid=1,target=/", "uid=1 x"] {
            assert!(options(text).is_err(), "{text:?}");
        }
        for id in ["", "a b", "a,target=/", "a\nRUN x", "$x"] {
            let mount = CacheMount { id: id.into(), ..mount.clone() };
            assert!(matches!(mount.dockerfile(), Err(CacheMountError::Id(_))), "{id:?}");
        }
    }
}
