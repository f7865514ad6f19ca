//! `ci-build frontend install`.

use clap::Args;

use super::{Name, Source};
use crate::commands::{block_on, print_line};
use crate::engine::{self, Engine};
use crate::error::Failure;

const EXAMPLES: &str = "\
Examples:
  ci-build frontend install
  docker build --build-arg BUILDKIT_SYNTAX=\"$(ci-build frontend install)\" .
  DOCKER_HOST=tcp://docker:2375 ci-build frontend install --name localhost/frontend:test

The engine is the one that docker itself would use: DOCKER_HOST, else DOCKER_CONTEXT, else the \
current context.
The default name is in no registry, so that no engine finds a stranger's image under it. \
A builder of the docker-container driver has a store of its own and needs `ci-build frontend push`.";

/// Load the image into the Docker engine, and print its name
///
/// Does nothing, and prints the name all the same, when the engine has this very image under this name.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    name: Name,
}

pub(super) fn run(Arguments { source, name: Name { name } }: &Arguments) -> Result<(), Failure> {
    let image = source.image()?;
    let endpoint = engine::Endpoint::of_this_process()?;
    block_on(async {
        let engine = Engine::connect(&endpoint).await?;
        if !engine.has(name, &image).await? {
            engine.load(name, &image).await?;
        }
        Ok::<_, engine::Error>(())
    })??;
    print_line(name)
}
