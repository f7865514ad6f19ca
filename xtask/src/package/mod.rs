//! What is installed, laid out once as data, and made into a Debian package ([`deb`]) and an archive ([`archive`]).
//!
//! Both are the same bytes whenever they are made of the same commit: names in order, the commit's time, no users.

pub mod archive;
pub mod deb;
pub mod root;
mod tree;
pub mod twice;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::{artifacts, command, workspace};

pub use tree::Tree;

/// The programs that are packed.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The host command.
    pub command: PathBuf,
    /// The frontend's static binary.
    pub frontend: PathBuf,
}

impl Programs {
    /// As users get them: static, so that they run on any Linux.
    ///
    /// # Errors
    /// When they cannot be built.
    pub fn build() -> Result<Self> {
        Ok(Self { command: artifacts::static_command()?, frontend: artifacts::frontend()? })
    }
}

/// Where a file comes from.
enum From {
    Command,
    Frontend,
    /// A file or a directory of the workspace.
    Workspace(&'static str),
    /// A file or a directory of what the command writes about itself.
    Written(&'static str),
}

/// One thing that is installed.
struct Asset {
    from: From,
    /// Where to, below the root; a directory of the workspace is that directory there.
    to: &'static str,
    mode: u32,
    /// Whether it is compressed, as Debian wants of man pages and changes.
    is_packed: bool,
}

const fn file(from: From, to: &'static str) -> Asset {
    Asset { from, to, mode: 0o644, is_packed: false }
}

const fn program(from: From, to: &'static str) -> Asset {
    Asset { from, to, mode: 0o755, is_packed: false }
}

const fn packed(from: From, to: &'static str) -> Asset {
    Asset { from, to, mode: 0o644, is_packed: true }
}

/// All that is installed.
const ASSETS: [Asset; 13] = [
    program(From::Command, "usr/bin/ci-build"),
    program(From::Frontend, "usr/lib/ci-build/ci-build-frontend"),
    packed(From::Written("man"), "usr/share/man/man1"),
    file(From::Written("completions/ci-build.bash"), "usr/share/bash-completion/completions/ci-build"),
    file(From::Written("completions/_ci-build"), "usr/share/zsh/vendor-completions/_ci-build"),
    file(From::Written("completions/ci-build.fish"), "usr/share/fish/vendor_completions.d/ci-build.fish"),
    file(From::Workspace("packaging/systemd"), "usr/lib/systemd/system"),
    file(From::Workspace("packaging/default"), CONFIGURATION),
    file(From::Workspace("packaging/debian/copyright"), "usr/share/doc/ci-build/copyright"),
    file(From::Workspace("LICENSE-APACHE"), "usr/share/doc/ci-build/LICENSE-APACHE"),
    file(From::Workspace("LICENSE-MIT"), "usr/share/doc/ci-build/LICENSE-MIT"),
    file(From::Workspace("README.md"), "usr/share/doc/ci-build/README.md"),
    packed(From::Workspace("CHANGELOG.md"), "usr/share/doc/ci-build/changelog"),
];

/// What an administrator changes, and an upgrade leaves alone.
const CONFIGURATION: &str = "etc/default/ci-build";

/// The version that is packed.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Lays out all that is installed.
///
/// # Errors
/// When something is not there, or cannot be written.
pub fn lay_out(programs: &Programs) -> Result<Tree> {
    let written = written()?;
    let tree = Tree::new()?;
    for Asset { from, to, mode, is_packed } in &ASSETS {
        let from = match from {
            From::Command => programs.command.clone(),
            From::Frontend => programs.frontend.clone(),
            From::Workspace(path) => workspace::root().join(path),
            From::Written(path) => written.path().join(path),
        };
        tree.add(&from, to, *mode, *is_packed)?;
    }
    Ok(tree)
}

/// What the command writes about itself: man pages and completions. Its own example writes them, so that xtask need not be
/// linked with an engine's client.
fn written() -> Result<TempDir> {
    let directory = tempfile::tempdir().context("cannot make a directory")?;
    let mut writer = Command::new(artifacts::writer()?);
    command::run(writer.arg(directory.path())).context("the command's pages are not written")?;
    Ok(directory)
}

/// Where packages are kept.
///
/// # Errors
/// When the directory cannot be made.
pub fn place() -> Result<PathBuf> {
    let directory = workspace::target()?.join("package");
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    Ok(directory)
}

/// When the commit that is packed was made, in seconds since 1970: what `SOURCE_DATE_EPOCH` says, else git.
fn moment() -> Result<u64> {
    let told = std::env::var("SOURCE_DATE_EPOCH").ok().filter(|told| !told.is_empty());
    let told = match told {
        Some(told) => told,
        None => {
            let mut git = Command::new("git");
            git.current_dir(workspace::root()).args(["log", "-1", "--format=%ct"]);
            command::output(&mut git).context("without git SOURCE_DATE_EPOCH has to tell the time")?
        }
    };
    told.trim().parse().with_context(|| format!("'{}' is no time", told.trim()))
}

fn file_name(path: &Path) -> Result<&str> {
    match path.file_name().and_then(|name| name.to_str()) {
        Some(name) => Ok(name),
        None => bail!("{} has no name", path.display()),
    }
}
