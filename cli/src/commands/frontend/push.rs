//! `ci-build frontend push`.

use clap::Args;

use super::Source;
use crate::commands::{block_on, print_line};
use crate::error::Failure;
use crate::image::ImageName;
use crate::registry;
use crate::switch;

const EXAMPLES: &str = "\
Examples:
  ci-build frontend push registry.example/ci-build/frontend:0.1.0
  ci-build frontend push 127.0.0.1:5000/frontend

Credentials are docker's own: `docker login` writes them, DOCKER_CONFIG says where they are.";

/// Push the image to a registry, and print its name with its digest
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Where to push, with a tag [default tag: latest]
    #[arg(value_name = "REF")]
    name: ImageName,
    #[command(flatten)]
    source: Source,
    /// Also talk to a registry whose certificate is not trusted, or that has none (always so on a loopback
    /// address)
    #[arg(long, env = "CI_BUILD_INSECURE", value_parser = switch::parse)]
    insecure: bool,
}

pub(super) fn run(Arguments { name, source, insecure }: &Arguments) -> Result<(), Failure> {
    let image = source.image()?;
    block_on(registry::push(name, &image, *insecure))??;
    print_line(format_args!("{name}@{}", image.digest()))
}
