//! A containerd of our own, without docker, out of Debian's packages.

mod orphans;

use std::{
    fs::{self, File},
    io::Write,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::{
    command::{self, quoted_tail, search_path},
    engines::{self, BOOKWORM, SETPRIV, Suite, TOOLS},
    poll,
};

/// NRI has one socket a machine, whatever root and state a containerd has: of two that begin at once, one ended by it.
const CONFIGURATION: &str = "version = 2\ndisabled_plugins = [\"io.containerd.nri.v1.nri\"]\n";

/// A containerd that can be fetched and started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 1.6.
    Containerd1_6,
    /// 2.1.
    Containerd2_1,
}

impl Kind {
    /// Every one, the oldest first.
    pub const ALL: [Kind; 2] = [Kind::Containerd1_6, Kind::Containerd2_1];

    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Containerd1_6 => "containerd-1.6",
            Kind::Containerd2_1 => "containerd-2.1",
        }
    }

    fn suite(self) -> &'static Suite {
        match self {
            Kind::Containerd1_6 => &BOOKWORM,
            Kind::Containerd2_1 => &TOOLS,
        }
    }
}

/// A running containerd. It ends when this process ends, in whatever way; and when this is dropped, its containers with it.
#[derive(Debug)]
pub struct Containerd {
    child: Child,
    /// Short, since sockets have short names.
    dir: TempDir,
    root: PathBuf,
    programs: PathBuf,
}

impl Containerd {
    /// Fetches it if need be and starts it over this root directory, which outlives it. It answers on return.
    ///
    /// # Errors
    /// When it cannot be fetched, or does not answer within 30 seconds: then with what it said.
    pub fn start(kind: Kind, root: &Path) -> Result<Self> {
        engines::need(&[SETPRIV])?;
        let programs = engines::fetch_suite(kind.suite())?.bin();
        let dir = tempfile::tempdir().context("cannot create a directory")?;
        fs::write(dir.path().join("config.toml"), CONFIGURATION)
            .context("cannot write containerd's configuration")?;
        fs::create_dir(wrappers(dir.path())).context("cannot create a directory")?;
        let child = spawn(dir.path(), root, &programs)?;
        // From here on, dropping it ends the process.
        let mut containerd = Self { child, dir, root: root.to_owned(), programs };
        containerd.wait()?;
        Ok(containerd)
    }

    /// Kills it, and nothing that it has started: containers run on.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().and_then(|()| self.child.wait()).context("cannot kill containerd").map(drop)
    }

    /// Starts it again over what it had, after [`Containerd::kill`]. It answers on return.
    ///
    /// # Errors
    /// As [`Containerd::start`].
    pub fn start_again(&mut self) -> Result<()> {
        self.child = spawn(self.dir.path(), &self.root, &self.programs)?;
        self.wait()
    }

    /// The directory of its root, where all lies that it keeps.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("containerd.sock")
    }

    /// An empty directory, first in its `PATH`: a `runc` that is put there is run for each container.
    #[must_use]
    pub fn wrappers(&self) -> PathBuf {
        wrappers(self.dir.path())
    }

    /// Where its own programs are.
    #[must_use]
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// `ctr`, talking to it.
    #[must_use]
    pub fn ctr(&self) -> Command {
        let mut command = Command::new(self.programs.join("ctr"));
        command.arg("--address").arg(self.socket());
        command
    }

    /// The version as it tells it itself: `2.1.9~ds1`.
    ///
    /// # Errors
    /// When it does not tell.
    pub fn version(&self) -> Result<String> {
        let told = command::output(self.ctr().arg("version"))?;
        // The client's comes before it.
        let mut versions = told.lines().rev().filter_map(|line| line.trim().strip_prefix("Version:"));
        Ok(versions.next().context("containerd tells no version")?.trim().to_owned())
    }

    fn wait(&mut self) -> Result<()> {
        const PATIENCE: Duration = Duration::from_secs(30);
        let (log, socket) = (self.dir.path().join("log"), self.socket());
        let said = || quoted_tail(&fs::read(&log).unwrap_or_default());
        let ready = poll::until(PATIENCE, || {
            if let Some(status) = self.child.try_wait().context("cannot wait for containerd")? {
                bail!("containerd ended, {status}{}", said());
            }
            Ok(UnixStream::connect(&socket).ok())
        })?;
        match ready {
            Some(_) => Ok(()),
            None => bail!("containerd did not answer within {} seconds{}", PATIENCE.as_secs(), said()),
        }
    }
}

/// Starts containerd with its files in a directory. It ends with this process.
fn spawn(dir: &Path, root: &Path, programs: &Path) -> Result<Child> {
    let path = |name: &str| dir.join(name);
    let log = File::options().create(true).append(true).open(path("log"));
    let log = log.context("cannot create containerd's log")?;
    let mut command = Command::new(SETPRIV.program);
    command.args(["--pdeathsig", "TERM", "--"]).arg(programs.join("containerd"));
    command.arg("--config").arg(path("config.toml")).arg("--root").arg(root);
    command.arg("--state").arg(path("state")).arg("--address").arg(path("containerd.sock"));
    command.env("PATH", search_path(&[wrappers(dir), programs.to_owned()])?).stdin(Stdio::null());
    command.stdout(log.try_clone().context("cannot share the log")?).stderr(log);
    engines::spawn_for_life(command)
}

/// First in its PATH; empty.
fn wrappers(dir: &Path) -> PathBuf {
    dir.join("wrappers")
}

impl Drop for Containerd {
    fn drop(&mut self) {
        if let Err(error) = self.kill().and_then(|()| orphans::end(self.dir.path(), &self.programs)) {
            // The last resort: nobody is left to tell.
            let _ = writeln!(std::io::stderr(), "warning: something of a containerd is left: {error:#}");
        }
    }
}
