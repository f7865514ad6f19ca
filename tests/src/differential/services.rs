//! What builds fetch from and ask, beside the engine: all of it on this machine, all of it ends with this process.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use xtask::emulation::Emulation;
use xtask::{command, poll};

use super::case::Need;
use super::serve::Server;

/// The services, and what this machine lacks.
#[derive(Debug)]
pub struct Services {
    root: TempDir,
    http: Server,
    git: Option<(u16, Daemon)>,
    agent: Option<(PathBuf, Daemon)>,
    _emulation: Option<Emulation>,
    missing: BTreeMap<Need, String>,
}

impl Services {
    /// Starts what can be started. Engines must start later: they ask the kernel once for its platforms.
    ///
    /// # Errors
    /// When not even files can be served.
    pub fn start() -> Result<Self> {
        let root = tempfile::Builder::new().prefix("differential-").tempdir();
        let root = root.context("cannot create a directory")?;
        let mut missing = BTreeMap::new();
        let mut note = |need, error: anyhow::Error| missing.insert(need, format!("{error:#}"));
        let git = git_daemon(root.path()).map_err(|error| note(Need::Git, error)).ok();
        let agent = ssh_agent(root.path()).map_err(|error| note(Need::SshAgent, error)).ok();
        let emulation = Emulation::of_arm64().map_err(|error| note(Need::Emulation, error)).ok();
        Ok(Self { http: Server::start(root.path())?, root, git, agent, _emulation: emulation, missing })
    }

    /// The directory that is served, over HTTP and by git.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Why a case cannot be run, if this machine lacks what it needs.
    #[must_use]
    pub fn lacks(&self, needs: &[Need]) -> Option<&str> {
        needs.iter().find_map(|need| self.missing.get(need)).map(String::as_str)
    }

    /// Where HTTP is served: `http://127.0.0.1:41234`.
    #[must_use]
    pub fn http(&self) -> String {
        format!("http://{}", self.http.address())
    }

    /// Where git repositories are served.
    #[must_use]
    pub fn git(&self) -> String {
        let port = self.git.as_ref().map_or(0, |(port, _)| *port);
        format!("git://127.0.0.1:{port}")
    }

    /// The agent's socket.
    #[must_use]
    pub fn ssh_agent(&self) -> Option<&Path> {
        self.agent.as_ref().map(|(socket, _)| socket.as_path())
    }
}

/// A program that serves until this is dropped.
#[derive(Debug)]
struct Daemon(Child);

impl Daemon {
    /// It ends with us, however we end. It answers when `is_ready` says so.
    fn start(program: Command, is_ready: impl Fn() -> bool) -> Result<Self> {
        const PATIENCE: Duration = Duration::from_secs(10);
        let name = program.get_program().to_string_lossy().into_owned();
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "--"]).arg(program.get_program()).args(program.get_args());
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut daemon = Self(command.spawn().with_context(|| format!("cannot run {name}"))?);
        let ready = poll::until(PATIENCE, || {
            if let Some(status) = daemon.0.try_wait()? {
                bail!("{name} ended, {status}");
            }
            Ok(is_ready().then_some(()))
        })?;
        ready.with_context(|| format!("{name} did not answer within {} seconds", PATIENCE.as_secs()))?;
        Ok(daemon)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It has nothing to lose. One that has ended by itself cannot be killed.
        match self.0.kill().and_then(|()| self.0.wait().map(drop)) {
            Err(error) if error.kind() != ErrorKind::InvalidInput => {
                eprintln!("warning: cannot end a service: {error}");
            }
            _ => {}
        }
    }
}

fn git_daemon(root: &Path) -> Result<(u16, Daemon)> {
    let libexec = command::output(Command::new("git").arg("--exec-path"))?;
    let port = free_port()?;
    let mut git = Command::new(Path::new(libexec.trim()).join("git-daemon"));
    git.args(["--export-all", "--reuseaddr", "--listen=127.0.0.1"])
        .arg(format!("--port={port}"))
        .arg(format!("--base-path={}", root.display()))
        .arg(root);
    Ok((port, Daemon::start(git, || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok())?))
}

/// With one key in it. Its program is setgid, which loses the wish to end with us; so it serves a program that ends with its
/// standard input, which is ours.
fn ssh_agent(root: &Path) -> Result<(PathBuf, Daemon)> {
    let (socket, key) = (root.join("ssh-agent"), root.join("ssh-key"));
    let mut agent = Command::new("ssh-agent");
    agent.arg("-a").arg(&socket).arg("cat");
    let daemon = Daemon::start(agent, || socket.exists())?;
    command::run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key))?;
    command::run(Command::new("ssh-add").arg("-q").arg(&key).env("SSH_AUTH_SOCK", &socket))?;
    Ok((socket, daemon))
}

/// One that was free a moment ago.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("there is no free port")?;
    Ok(listener.local_addr().context("a listener has an address")?.port())
}
