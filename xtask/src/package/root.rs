//! The package installed in a clean root, and looked at as whoever installs it would.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::command;
use crate::engines::machine;

/// The group that may use Docker, in the root.
const DOCKER: u32 = 4242;

/// A root directory with nothing but dpkg's own state, and the package.
#[derive(Debug)]
pub struct Root {
    directory: TempDir,
}

impl Root {
    /// Installs the package in a clean root, in which there is a group `docker` or not.
    ///
    /// # Errors
    /// When dpkg does not install it.
    pub fn install(package: &Path, has_docker: bool) -> Result<Self> {
        let root = Self { directory: tempfile::tempdir().context("cannot make a directory")? };
        let make = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap_or(&path))?;
            fs::write(path, text)
        };
        let group =
            if has_docker { format!("root:x:0:\ndocker:x:{DOCKER}:\n") } else { "root:x:0:\n".into() };
        make("var/lib/dpkg/status", "")
            .and_then(|()| make("etc/group", &group))
            .context("cannot make a root")?;
        for directory in ["info", "updates", "triggers"] {
            let directory = root.path().join("var/lib/dpkg").join(directory);
            fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        }
        command::run(root.dpkg().arg("--install").arg(package))?;
        Ok(root)
    }

    /// The root directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// dpkg on this root, whose scripts run outside of it, since there is no shell in it.
    fn dpkg(&self) -> Command {
        let mut dpkg = Command::new("dpkg");
        let log = self.path().join("var/lib/dpkg/log");
        dpkg.arg(format!("--root={}", self.path().display())).arg(format!("--log={}", log.display()));
        dpkg.arg("--force-script-chrootless");
        dpkg
    }

    /// Runs the installed program.
    ///
    /// # Errors
    /// When it does not succeed.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        command::output(Command::new(self.path().join("usr/bin/ci-build")).args(arguments))
    }

    /// The frontend is found where the package put it, and an image can be made of it.
    ///
    /// # Errors
    /// When not.
    pub fn has_frontend(&self) -> Result<()> {
        let archive = self.path().join("frontend.tar");
        self.run(&["frontend", "save", &archive.to_string_lossy()])?;
        fs::remove_file(&archive).context("no archive was written")
    }

    /// The state directory is the docker group's, or is left to the first who needs it.
    ///
    /// # Errors
    /// When not.
    pub fn has_state_directory(&self, has_docker: bool) -> Result<()> {
        match (fs::metadata(self.path().join("var/lib/ci-build")), has_docker) {
            (Ok(found), true) => {
                let (mode, group) = (found.mode() & 0o7777, found.gid());
                ensure!(
                    (mode, group) == (0o2770, DOCKER),
                    "the state directory is {mode:o}, of group {group}"
                );
            }
            (Ok(_), false) => bail!("there is a state directory without a group to share it"),
            (Err(error), true) => bail!("there is no state directory: {error}"),
            (Err(_), false) => {}
        }
        Ok(())
    }

    /// systemd takes the units. Gives how many.
    ///
    /// # Errors
    /// When it does not.
    pub fn has_units(&self) -> Result<usize> {
        machine::need(&[machine::ANALYZE])?;
        let units = self.files("usr/lib/systemd/system")?;
        ensure!(!units.is_empty(), "there are no units");
        for unit in &units {
            let mut verify = Command::new("systemd-analyze");
            verify.args(["verify", "--man=no", "--recursive-errors=no"]);
            verify.arg(format!("--root={}", self.path().display())).arg(unit);
            let said = verify.output().context("cannot run systemd-analyze")?;
            let text = String::from_utf8_lossy(&said.stderr);
            ensure!(said.status.success() && text.trim().is_empty(), "systemd-analyze verify: {text}");
        }
        Ok(units.len())
    }

    /// Each man page can be shown, without a complaint. Gives how many.
    ///
    /// # Errors
    /// When not.
    pub fn has_pages(&self) -> Result<usize> {
        machine::need(&[machine::MAN])?;
        let pages = self.files("usr/share/man/man1")?;
        ensure!(!pages.is_empty(), "there are no man pages");
        for page in &pages {
            let mut man = Command::new("man");
            man.args(["--warnings", "--local-file"])
                .arg(page)
                .env("MANWIDTH", "100")
                .env("LC_ALL", "C.UTF-8");
            let said = man.output().context("cannot run man")?;
            let text = String::from_utf8_lossy(&said.stderr);
            ensure!(said.status.success() && text.trim().is_empty(), "{}: {text}", page.display());
            let shown = String::from_utf8_lossy(&said.stdout);
            ensure!(
                shown.contains("EXAMPLES") || !shown.contains("SYNOPSIS"),
                "{} has no examples",
                page.display()
            );
        }
        Ok(pages.len())
    }

    /// Each shell takes its completions.
    ///
    /// # Errors
    /// When one does not.
    pub fn has_completions(&self) -> Result<()> {
        machine::need(&[machine::FISH, machine::ZSH])?;
        for (shell, flag, place) in [
            ("bash", "-n", "usr/share/bash-completion/completions/ci-build"),
            ("zsh", "-n", "usr/share/zsh/vendor-completions/_ci-build"),
            ("fish", "--no-execute", "usr/share/fish/vendor_completions.d/ci-build.fish"),
        ] {
            let place = self.path().join(place);
            ensure!(place.is_file(), "there are no completions for {shell}");
            command::run(Command::new(shell).arg(flag).arg(place))?;
        }
        Ok(())
    }

    /// Purges the package. Nothing of it stays.
    ///
    /// # Errors
    /// When something does.
    pub fn purge(&self) -> Result<()> {
        command::run(self.dpkg().args(["--purge", "ci-build"]))?;
        for gone in ["usr", "var/lib/ci-build", "etc/default"] {
            ensure!(!self.path().join(gone).exists(), "/{gone} is still there");
        }
        Ok(())
    }

    fn files(&self, place: &str) -> Result<Vec<PathBuf>> {
        let directory = self.path().join(place);
        let entries =
            fs::read_dir(&directory).with_context(|| format!("cannot list {}", directory.display()))?;
        let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
        files.sort();
        Ok(files)
    }
}
