//! `ci-build frontend`: the frontend's image, made here from the binary alone, without a registry or a build.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::error::{Blame, Explain, Failure};
use crate::image::{BinaryError, Image, ImageName};

mod binary;
mod install;
mod push;
mod save;

/// The name that the image gets when none is given: of [`FRONTEND`](crate::image::FRONTEND), by our version.
pub(super) const DEFAULT_NAME: &str = concat!("localhost/ci-build/frontend:", env!("CARGO_PKG_VERSION"));

const EXAMPLES: &str = "\
Examples:
  docker build --build-arg BUILDKIT_SYNTAX=\"$(ci-build frontend install)\" .
  ci-build frontend push registry.example/ci-build/frontend:0.1.0
  ci-build frontend save frontend.tar";

/// Bring the BuildKit frontend to an engine, a file or a registry
///
/// The image is made here, from the frontend's binary alone: no registry, no build, no network. The same
/// binary always gives the same digest.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    Install(install::Arguments),
    Save(save::Arguments),
    Push(push::Arguments),
}

/// Runs `ci-build frontend …`.
///
/// # Errors
/// What the user is to read, with the exit code.
pub(super) fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Install(arguments) => install::run(&arguments),
        Command::Save(arguments) => save::run(&arguments),
        Command::Push(arguments) => push::run(&arguments),
    }
}

#[derive(Debug, Args)]
struct Source {
    /// The frontend's static binary [default: ci-build-frontend beside this program, else
    /// ../lib/ci-build/ci-build-frontend]
    #[arg(long, value_name = "PATH", env = "CI_BUILD_FRONTEND_BINARY")]
    binary: Option<PathBuf>,
}

impl Source {
    /// Finds the binary and makes the image of it.
    fn image(&self) -> Result<Image, Failure> {
        binary(self.binary.as_deref())?.read(Image::of_binary)
    }
}

/// The frontend's binary, found.
pub(super) struct Binary(PathBuf);

/// Finds the frontend's binary: the one that the user named, else that of the usual places.
///
/// # Errors
/// When there is none.
pub(super) fn binary(named: Option<&Path>) -> Result<Binary, Failure> {
    Ok(Binary(binary::find(named)?))
}

impl Binary {
    /// Reads it, and makes something of it.
    ///
    /// # Errors
    /// When it cannot be read, or is no frontend.
    pub(super) fn read<T>(&self, of: impl FnOnce(&[u8]) -> Result<T, BinaryError>) -> Result<T, Failure> {
        let bytes = binary::read(&self.0)?;
        of(&bytes).map_err(|error| NotAFrontend { path: self.0.clone(), error }.into())
    }
}

#[derive(Debug, Args)]
struct Name {
    /// The image's name
    #[arg(long, value_name = "REF", env = "CI_BUILD_FRONTEND_NAME", default_value = DEFAULT_NAME)]
    name: ImageName,
}

/// The file is no binary that runs in an empty image.
#[derive(Debug, thiserror::Error)]
#[error("cannot make an image of '{}': {error}", path.display())]
struct NotAFrontend {
    path: PathBuf,
    error: BinaryError,
}

impl Explain for NotAFrontend {
    fn blame(&self) -> Blame {
        Blame::Input
    }
    fn help(&self) -> Vec<String> {
        vec!["the image holds this one file and no libraries: give a static Linux binary".into()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_one_that_prunes_spare() {
        let pattern: crate::prune::Pattern = crate::image::FRONTEND.parse().unwrap();
        assert!(pattern.has_image(DEFAULT_NAME));
    }
}
