//! A registry of our own on the loopback, out of Debian's package: for what an engine shares with another one.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::{
    command::quoted_tail,
    engines::{self, REGISTRY, SETPRIV},
    poll,
};

/// A running registry, empty at first. It ends, and its data with it, when this is dropped; and when this process ends, in
/// whatever way.
#[derive(Debug)]
pub struct Registry {
    child: Child,
    address: SocketAddrV4,
    _dir: TempDir,
}

impl Registry {
    /// Fetches it if need be and starts it on a free port. It answers on return.
    ///
    /// # Errors
    /// When it cannot be fetched, or does not answer within 30 seconds: then with what it said.
    pub fn start() -> Result<Self> {
        engines::need(&[SETPRIV])?;
        let program = engines::fetch_suite(&REGISTRY)?.bin().join("docker-registry");
        let dir = tempfile::tempdir_in(engines::engines_dir()?).context("cannot create a directory")?;
        let address = free_address()?;
        let config = dir.path().join("config.yml");
        fs::write(&config, configuration(address, &dir))
            .context("cannot write the registry's configuration")?;
        let log = File::create(dir.path().join("log")).context("cannot create the registry's log")?;
        let mut command = Command::new(SETPRIV.program);
        command.args(["--pdeathsig", "TERM", "--"]).arg(program).arg("serve").arg(config);
        command.stdin(Stdio::null()).stdout(log.try_clone().context("cannot share the log")?).stderr(log);
        let child = engines::spawn_for_life(command)?;
        // From here on, dropping it ends the process.
        let mut registry = Self { child, address, _dir: dir };
        registry.wait()?;
        Ok(registry)
    }

    /// What stands before the names of its images: `127.0.0.1:41234`. Engines take it without TLS, since it is on the
    /// loopback.
    #[must_use]
    pub fn address(&self) -> SocketAddrV4 {
        self.address
    }

    fn wait(&mut self) -> Result<()> {
        const PATIENCE: Duration = Duration::from_secs(30);
        let log = self._dir.path().join("log");
        let said = || quoted_tail(&fs::read(&log).unwrap_or_default());
        let ready = poll::until(PATIENCE, || {
            if let Some(status) = self.child.try_wait().context("cannot wait for the registry")? {
                bail!("the registry ended, {status}{}", said());
            }
            Ok(TcpStream::connect(self.address).ok())
        })?;
        match ready {
            Some(_) => Ok(()),
            None => bail!("the registry did not answer within {} seconds{}", PATIENCE.as_secs(), said()),
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It has nothing to lose. One that has ended by itself cannot be killed.
        match self.child.kill().and_then(|()| self.child.wait().map(drop)) {
            Err(error) if error.kind() != ErrorKind::InvalidInput => {
                // The last resort: nobody is left to tell.
                let _ = writeln!(std::io::stderr(), "warning: cannot end the registry: {error}");
            }
            _ => {}
        }
    }
}

/// One that was free a moment ago.
fn free_address() -> Result<SocketAddrV4> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("there is no free port")?;
    let port = listener.local_addr().context("a listener has an address")?.port();
    Ok(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
}

/// JSON is YAML; the names are those of the registry's own documentation.
fn configuration(address: SocketAddrV4, dir: &TempDir) -> String {
    let configuration = serde_json::json!({
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": dir.path().join("data")}, "delete": {"enabled": true}},
        "http": {"addr": address.to_string()},
    });
    format!("{configuration:#}\n")
}
