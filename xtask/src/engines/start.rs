//! Starting an engine.

use std::{
    ffi::OsString,
    fs::{self, File},
    net::SocketAddrV4,
    os::unix::{fs::symlink, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::{
    Engine, ImageStore, Kind, fetch, http, machine,
    network::Network,
    owned::{self, Owned},
    place,
    process::Identity,
    state::{Run, State},
    stop,
    suite::TOOLS,
};
use crate::{
    client::Client,
    command::{quoted_tail, search_path},
    poll,
};

/// How long an engine lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lifetime {
    /// As long as its [`Engine`], and no longer than this process, however it ends.
    #[default]
    Owned,
    /// Until [`stop`](super::stop()).
    Detached,
}

/// What can be chosen about an engine beside its kind.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How long it lives.
    pub lifetime: Lifetime,
    /// Another address that it answers on, without TLS: one of the loopback.
    pub tcp: Option<SocketAddrV4>,
    /// Whether it has a network namespace of its own, in which it reaches nobody: its socket is all that it is reached by.
    pub is_apart: bool,
    /// More arguments for dockerd. What the engine's own configuration file sets cannot be set again.
    pub dockerd_arguments: Vec<OsString>,
}

/// Fetches `kind` if need be, cleans up after the dead, and starts an engine: with data, sockets, bridge and subnet of
/// its own, so that any number of them run side by side. It answers on return.
///
/// Containers and build steps reach the world through the default bridge or the host's network. What else
/// `docker network create` makes is not connected, for dockerd is told not to touch the machine's packet filter.
///
/// # Errors
/// When something of that fails, or when the engine has not answered after 60 seconds: then with the end of its log.
/// Nothing is left behind.
pub fn start(kind: Kind, options: Options) -> Result<Engine> {
    machine::be_root()?;
    machine::need(&[machine::IP, machine::IPTABLES, machine::SETPRIV])?;
    fetch::fetch(kind)?;
    let programs = fetch::fetch_suite(kind.suite())?.bin();
    let tools = fetch::fetch_suite(&TOOLS)?.bin();

    let (mut run, owned) = begin(kind)?;
    let held = owned.hold()?;
    configure(&run, kind, &tools, &options)?;
    let mut child = spawn(&run, &programs, &options)?;
    run.state.dockerd = Identity::of(child.id())?;
    run.save()?;
    drop(held);
    wait_until_ready(&run, &mut child)?;
    let version = http::version(&run.socket())?;

    let owned = match options.lifetime {
        Lifetime::Owned => Some(owned),
        Lifetime::Detached => {
            let held = owned.hold()?;
            run.state.owner = None;
            run.save()?;
            drop(held);
            owned.release();
            None
        }
    };
    let host = format!("unix://{}", run.socket().display());
    let client = Client::new(host, docker_config(&run), tools)?;
    Ok(Engine { run, kind, version, client, owned, child, options })
}

/// Starts the dockerd of an engine again, after the first one ended.
///
/// # Errors
/// As [`start`]; and when a signal has stopped the engine.
pub(super) fn again(engine: &mut Engine) -> Result<()> {
    let programs = fetch::fetch_suite(engine.kind.suite())?.bin();
    let held = engine.owned.as_ref().map(Owned::hold).transpose()?;
    forget_dead_containerd(&engine.run)?;
    engine.child = spawn(&engine.run, &programs, &engine.options)?;
    engine.run.state.dockerd = Identity::of(engine.child.id())?;
    engine.run.save()?;
    drop(held);
    wait_until_ready(&engine.run, &mut engine.child)
}

/// Takes away what says that dockerd's containerd runs, where that died with it: Docker 20.10 takes a zombie for alive, and
/// waits for it in vain. A newer one may have outlived dockerd, and is used again.
fn forget_dead_containerd(run: &Run) -> Result<()> {
    let path = run.exec_root().join("containerd/containerd.pid");
    let Ok(text) = fs::read_to_string(&path) else { return Ok(()) };
    let pid = text.trim().parse().with_context(|| format!("cannot understand {}", path.display()))?;
    // Whoever is to die with dockerd does so a moment later.
    let is_dead = poll::until(Duration::from_secs(1), || Ok(Identity::of(pid)?.is_none().then_some(())))?;
    if is_dead.is_some() {
        fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}

/// Reserves a directory and a network. Who chooses at the same time, waits.
fn begin(kind: Kind) -> Result<(Run, Owned)> {
    let runs = place::runs_dir()?;
    let _lock = place::lock(&runs.join("lock"))?;
    stop::clean_up()?;

    let dir = place::create_unpredictable_dir(&runs, &format!("{}-", kind.name()))?;
    let owned = Owned::new(dir.clone())?;
    let id = dir.to_string_lossy().rsplit('-').next().unwrap_or_default().to_owned();
    let state = State {
        kind: kind.name().to_owned(),
        owner: Some(Identity::own()?),
        dockerd: None,
        network: Network::choose(&id)?,
        sockets: sockets_dir(&dir)?,
    };
    let run = Run { dir, state };
    let held = owned.hold()?;
    run.save()?;
    run.state.network.create()?;
    drop(held);
    Ok((run, owned))
}

/// The run's own directory, or a short one where sockets in it had longer names than unix(7) allows.
fn sockets_dir(dir: &Path) -> Result<PathBuf> {
    /// The size of `sun_path`, with its closing zero.
    const LIMIT: usize = 108;
    // BuildKit's, for a step with an ssh mount, with the longest number that it may choose.
    const LONGEST: &str = "tmp/.buildkit-ssh-sock4294967295/ssh_auth_sock";
    if dir.join(LONGEST).as_os_str().len() < LIMIT {
        return Ok(dir.to_owned());
    }
    place::create_unpredictable_dir(Path::new("/tmp"), "ci-build-")
}

/// Writes all that dockerd and the command line find in files.
fn configure(run: &Run, kind: Kind, tools: &Path, options: &Options) -> Result<()> {
    let Options { tcp, is_apart, .. } = *options;
    let bridge = if is_apart { "none" } else { run.state.network.bridge.as_str() };
    let mut daemon = json!({
        "data-root": run.data_root(),
        "exec-root": run.exec_root(),
        "pidfile": run.dir.join("dockerd.pid"),
        "hosts": [format!("unix://{}", run.socket().display())],
        "bridge": bridge,
        "iptables": false,
        "ip6tables": false,
        "cgroup-parent": format!("/{}", run.cgroup()),
        // The other driver, systemd's, takes slices for parents and has dockerd depend on it.
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "features": { "containerd-snapshotter": kind.image_store() == ImageStore::Containerd },
    });
    if let Some(address) = tcp {
        daemon["hosts"] = json!([daemon["hosts"][0], format!("tcp://{address}")]);
        // Said aloud: dockerd waits, and newer ones refuse, where nothing is said.
        daemon["tls"] = json!(false);
    }
    if let Some(setting) = kind.key_file() {
        daemon[setting] = json!(run.dir.join("key.json"));
    }
    let path = daemon_json(run);
    fs::write(&path, serde_json::to_vec_pretty(&daemon)?)
        .with_context(|| format!("cannot write {}", path.display()))?;

    place::create_private_dir(&wrappers(run))?;
    link_buildx(&docker_config(run), tools)
}

/// Makes `config` a `DOCKER_CONFIG` with buildx among its plugins.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn link_buildx(config: &Path, tools: &Path) -> Result<()> {
    let plugins = config.join("cli-plugins");
    place::create_private_dir(config)?;
    place::create_private_dir(&plugins)?;
    symlink(tools.join("docker-buildx"), plugins.join("docker-buildx")).context("cannot link buildx")
}

fn spawn(run: &Run, programs: &Path, options: &Options) -> Result<Child> {
    let dockerd = programs.join("dockerd");
    let mut command = match options.lifetime {
        Lifetime::Owned => {
            let mut command = Command::new(machine::SETPRIV.program);
            command.args(["--pdeathsig", "TERM", "--"]);
            // What the terminal sends to its foreground is for the owner, who then stops the engine.
            command.process_group(0);
            command
        }
        Lifetime::Detached => Command::new("setsid"),
    };
    // Of one that is started again, too.
    let log =
        File::options().create(true).append(true).open(log(run)).context("cannot open the engine's log")?;
    if options.is_apart {
        command.args(["unshare", "--net", "--"]);
    }
    command
        .arg(&dockerd)
        .arg("--config-file")
        .arg(daemon_json(run))
        .args(&options.dockerd_arguments)
        .env("PATH", search_path(&[wrappers(run), programs.to_owned()])?)
        .current_dir(&run.dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone().context("cannot share the engine's log")?)
        .stderr(log);
    // dockerd has BuildKit make its sockets in there, and not below its data.
    command.env("DOCKER_TMPDIR", run.state.sockets.join("tmp"));
    // What would reach into the configuration from outside.
    for variable in ["DOCKER_DRIVER", "LISTEN_FDS", "LISTEN_PID", "NOTIFY_SOCKET"] {
        command.env_remove(variable);
    }
    owned::spawn_for_life(command)
}

fn wait_until_ready(run: &Run, child: &mut Child) -> Result<()> {
    const PATIENCE: Duration = Duration::from_secs(60);
    let log = || quoted_tail(&fs::read(log(run)).unwrap_or_default());
    let ready = poll::until(PATIENCE, || {
        if let Some(status) = child.try_wait().context("cannot wait for dockerd")? {
            bail!("dockerd of {} ended, {status}{}", run.name(), log());
        }
        Ok(http::get(&run.socket(), "/_ping").map(drop))
    })?;
    match ready {
        Some(()) => Ok(()),
        None => bail!("{} did not answer within {} seconds{}", run.name(), PATIENCE.as_secs(), log()),
    }
}

/// First in dockerd's PATH; empty.
pub(super) fn wrappers(run: &Run) -> PathBuf {
    run.dir.join("wrappers")
}

pub(super) fn docker_config(run: &Run) -> PathBuf {
    run.dir.join("docker-config")
}

pub(super) fn log(run: &Run) -> PathBuf {
    run.dir.join("dockerd.log")
}

fn daemon_json(run: &Run) -> PathBuf {
    run.dir.join("daemon.json")
}
