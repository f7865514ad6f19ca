//! `cargo xtask package`: what users install.

use anyhow::Result;
use xtask::package::root::Root;
use xtask::package::{Programs, archive, deb, place, twice};

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Make a Debian package, and install it in a clean root, as root
    Deb,
    /// Make an archive for other systems
    Archive,
    /// Build the frontend's image twice from the same commit, and compare
    Twice,
}

impl Command {
    pub(crate) fn run(self) -> Result<()> {
        match self {
            Self::Deb => {
                let package = deb::make(&programs()?, &place()?)?;
                for has_docker in [true, false] {
                    let root = Root::install(&package, has_docker)?;
                    eprint!("installed in a clean root: {}", root.run(&["--version"])?);
                    root.has_frontend()?;
                    root.has_state_directory(has_docker)?;
                    eprintln!("  units that systemd takes: {}", root.has_units()?);
                    eprintln!("  man pages that man shows: {}", root.has_pages()?);
                    root.has_completions()?;
                    eprintln!("  completions that bash, zsh and fish take");
                    root.purge()?;
                    eprintln!("  purged: nothing stays");
                }
                eprintln!("{}", package.display());
            }
            Self::Archive => eprintln!("{}", archive::make(&programs()?, &place()?)?.display()),
            Self::Twice => {
                eprintln!("building the frontend twice from nothing, which takes minutes");
                eprintln!("both are {}", twice::frontend()?);
            }
        }
        Ok(())
    }
}

fn programs() -> Result<Programs> {
    eprintln!("building the command and the frontend as they are shipped, which takes minutes");
    Programs::build()
}
