//! Which lock is taken, what can be leased, and what is told of an engine.

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context, Result, bail, ensure};
use ci_build_tests::Subject;
use serde_json::Value;
use xtask::containerd::{self, Containerd};
use xtask::engines::{self, ImageStore, Kind, Options};
use xtask::{artifacts, command, images};

/// The host command with state of its own, talking to the engine at this address.
fn ci_build(program: &Path, state: &Path, host: &str, line: &str) -> Command {
    let mut command = Command::new(program);
    command.args(line.split_ascii_whitespace()).env("CI_BUILD_STATE_DIR", state).env("DOCKER_HOST", host);
    command.env("CI_BUILD_CONFIG", "").stdin(Stdio::null());
    command
}

/// What it said on both streams, and its exit code.
fn run(mut command: Command) -> Result<(String, String, i32)> {
    let Output { status, stdout, stderr } = command.output().context("the command does not start")?;
    let [stdout, stderr] = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Ok((stdout, stderr, status.code().context("a signal ended it")?))
}

/// Holds a lock until it is dropped.
struct Holder(Child);

impl Holder {
    fn new(mut lock: Command) -> Result<Self> {
        lock.args(["--", "sh", "-c", "echo in; cat > /dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut holder = Self(lock.spawn().context("the command does not start")?);
        let mut line = String::new();
        let stdout = holder.0.stdout.take().context("it was piped")?;
        BufReader::new(stdout).read_line(&mut line).context("the holder cannot be heard")?;
        ensure!(line == "in\n", "the lock is not had: {line:?}");
        Ok(holder)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // Its end is all that is wanted.
        let _ = self.0.wait();
    }
}

/// The exit code of a command that wants the lock, and at once.
fn at_once(mut lock: Command) -> Result<i32> {
    lock.args(["--wait", "0", "--", "true"]);
    Ok(run(lock)?.2)
}

pub(crate) fn one_lock(subject: &Subject) -> Result<()> {
    let dir = tempfile::tempdir().context("cannot create a directory")?;
    let link = dir.path().join("other.sock");
    symlink(subject.engine.socket(), &link).context("cannot link the socket")?;
    let lock = |host: &str| ci_build(&subject.command, &dir.path().join("state"), host, "lock");
    let [first, second] = [subject.client.host().to_owned(), format!("unix://{}", link.display())];
    ensure!(first != second, "one spelling");
    let holder = Holder::new(lock(&first))?;
    let code = at_once(lock(&second))?;
    ensure!(code == 75, "another way to the engine is another lock: exit code {code}");
    drop(holder);
    let code = at_once(lock(&second))?;
    ensure!(code == 0, "a free lock is not had: exit code {code}");
    Ok(())
}

pub(crate) fn two_locks(subject: &Subject) -> Result<()> {
    let dir = tempfile::tempdir().context("cannot create a directory")?;
    let other = engines::start(subject.engine.kind(), Options::default())?;
    let lock = |host: &str| ci_build(&subject.command, dir.path(), host, "lock");
    let holder = Holder::new(lock(subject.client.host()))?;
    let code = at_once(lock(other.client().host()))?;
    ensure!(code == 0, "two engines have one lock: exit code {code}");
    drop(holder);
    other.stop()
}

pub(crate) fn leases(subject: &Subject) -> Result<()> {
    let dir = tempfile::tempdir().context("cannot create a directory")?;
    let told = |line: &str| run(ci_build(&subject.command, dir.path(), subject.client.host(), line));
    let refused = |line: &str, why: &str| -> Result<()> {
        let (_, stderr, code) = told(line)?;
        ensure!(code == 2 && stderr.contains(why), "`{line}`: exit code {code}, {stderr}");
        Ok(())
    };
    let leased = || -> Result<Vec<String>> {
        let document: Value = serde_json::from_str(&told("lease list --format json")?.0)?;
        let leases = document["leases"].as_array().context("a list")?;
        Ok(leases.iter().filter_map(|lease| lease["image"].as_str().map(String::from)).collect())
    };
    refused("lease add --ttl 1h local/absent", "the engine has no image 'local/absent'")?;
    let image = images::BUSYBOX;
    refused(&format!("lease add --ttl=-5s {image}"), "a time cannot be negative")?;
    refused(&format!("lease add --ttl 1h {image} local/absent"), "the engine has no image 'local/absent'")?;
    let mut owner = Command::new("cat").stdin(Stdio::piped()).spawn().context("cat does not start")?;
    let pid = owner.id();
    let (_, stderr, code) = told(&format!("lease add --owner {pid} {image}"))?;
    ensure!(code == 0, "{stderr}");
    ensure!(leased()? == [image], "what is leased is not listed: {:?}", leased()?);
    drop(owner.stdin.take());
    owner.wait().context("cat does not end")?;
    ensure!(leased()?.is_empty(), "a lease outlives its owner");
    refused(&format!("lease add --owner {pid} {image}"), "no process has the pid")
}

pub(crate) fn status_and_doctor(subject: &Subject) -> Result<()> {
    let dir = tempfile::tempdir().context("cannot create a directory")?;
    let document = |line: &str| -> Result<Value> {
        let command = ci_build(&subject.command, dir.path(), subject.client.host(), line);
        let (stdout, stderr, _) = run(subject.client.set_up(command))?;
        serde_json::from_str(&stdout).with_context(|| format!("no document: {stdout}{stderr}"))
    };
    let status = document("status --format json")?;
    let engine = &status["engines"][0];
    ensure!(engine["reachable"] == true && engine["version"] == subject.engine.version(), "{status}");
    ensure!(engine["root"] == *subject.engine.data_root().to_string_lossy(), "{status}");
    ensure!(engine["disk"]["total"].as_u64() > engine["disk"]["free"].as_u64(), "{status}");
    let kind = match subject.engine.kind().image_store() {
        ImageStore::GraphDriver => "graph-driver",
        ImageStore::Containerd => "containerd",
    };
    ensure!(engine["image_store"]["kind"] == kind, "{status}");

    let doctor = document("doctor --format json --min-free 0 --min-inodes 0")?;
    let state = |name: &str| -> Result<&str> {
        let checks = doctor["checks"].as_array().context("a list")?;
        let check = checks.iter().find(|check| check["check"] == name).context("no such check")?;
        check["state"].as_str().context("a state")
    };
    // 20.10 has a BuildKit from before the mend.
    let buildkit = if subject.engine.kind() == Kind::Docker20_10 { "wrong" } else { "fine" };
    let store = if kind == "containerd" { "note" } else { "fine" };
    let expected = [
        ("engine", "fine"),
        ("runc", "fine"),
        ("buildkit", buildkit),
        ("image-store", store),
        ("lock-directory", "fine"),
        ("disk", "fine"),
        ("inodes", "fine"),
        ("frontend", "fine"),
        ("buildx", "fine"),
    ];
    for (name, expected) in expected {
        let state = state(name)?;
        ensure!(state == expected, "{name} is {state}, not {expected}: {doctor:#}");
    }
    Ok(())
}

pub(crate) fn containerd_1_6() -> Result<()> {
    namespaces(containerd::Kind::Containerd1_6)
}

pub(crate) fn containerd_2_1() -> Result<()> {
    namespaces(containerd::Kind::Containerd2_1)
}

/// A root directory and a namespace are one lock, whatever the way to the socket, and over a restart.
fn namespaces(kind: containerd::Kind) -> Result<()> {
    let dir = tempfile::tempdir().context("cannot create a directory")?;
    let root = dir.path().join("root");
    let program = artifacts::command()?;
    let engine = Containerd::start(kind, &root)?;
    let lock = |socket: &Path, namespace: &str| {
        let line = format!("lock --containerd={} --namespace {namespace}", socket.display());
        ci_build(&program, &dir.path().join("state"), "unix:///nowhere/docker.sock", &line)
    };
    let link = dir.path().join("other.sock");
    symlink(engine.socket(), &link).context("cannot link the socket")?;
    let holder = Holder::new(lock(&engine.socket(), "a"))?;
    ensure!(at_once(lock(&link, "a"))? == 75, "another way to containerd is another lock");
    ensure!(at_once(lock(&link, "b"))? == 0, "another namespace is the same lock");

    let other = Containerd::start(kind, &dir.path().join("other"))?;
    ensure!(at_once(lock(&other.socket(), "a"))? == 0, "another root directory is the same lock");
    drop(other);
    drop(engine);
    let engine = Containerd::start(kind, &root)?;
    ensure!(at_once(lock(&engine.socket(), "a"))? == 75, "a restart makes another lock");
    drop(holder);
    ensure!(at_once(lock(&engine.socket(), "a"))? == 0, "a free lock is not had");

    let lease = |image: &str| {
        let line = format!("lease add --containerd={} --ttl 1h {image}", engine.socket().display());
        run(ci_build(&program, &dir.path().join("state"), "unix:///nowhere/docker.sock", &line))
    };
    let (_, stderr, code) = lease("local/absent:1")?;
    ensure!(code == 2 && stderr.contains("the engine has no image"), "exit code {code}: {stderr}");
    let archive = dir.path().join("image.tar");
    frontend_image(&program, &archive)?;
    command::run(engine.ctr().args(["images", "import"]).arg(&archive))?;
    let names = command::output(engine.ctr().args(["images", "list", "--quiet"]))?;
    let name = names.lines().next().context("nothing was imported")?;
    let (_, stderr, code) = lease(name)?;
    ensure!(code == 0, "{name}: {stderr}");
    Ok(())
}

/// Any image: the frontend's is made without an engine.
fn frontend_image(program: &Path, archive: &Path) -> Result<()> {
    let mut save = Command::new(program);
    save.args(["frontend", "save"]).arg(archive).env("CI_BUILD_FRONTEND_BINARY", artifacts::frontend()?);
    command::run(&mut save)
}

/// A user who may not use the socket is told so.
pub(crate) fn without_permission() -> Result<()> {
    let dir = tempfile::tempdir().context("cannot create a directory")?;
    let open = |path: &Path, mode| {
        fs::set_permissions(path, Permissions::from_mode(mode)).context("cannot change permissions")
    };
    open(dir.path(), 0o755)?;
    // Where others can run it.
    let program = dir.path().join("ci-build");
    fs::copy(artifacts::command()?, &program).context("cannot copy the command")?;
    open(&program, 0o755)?;
    let socket = dir.path().join("docker.sock");
    let _listener = UnixListener::bind(&socket).context("cannot listen")?;
    open(&socket, 0o660)?;
    let mut nobody = Command::new("setpriv");
    nobody
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&program)
        .args(["lock", "--", "true"]);
    nobody.env("DOCKER_HOST", format!("unix://{}", socket.display())).env("CI_BUILD_CONFIG", "");
    nobody.env("CI_BUILD_STATE_DIR", dir.path().join("state")).current_dir(dir.path());
    let (_, stderr, code) = run(nobody)?;
    match code {
        125 if stderr.contains("this user may not use the socket") => Ok(()),
        _ => bail!("exit code {code}: {stderr}"),
    }
}
