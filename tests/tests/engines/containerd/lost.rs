//! A run that loses what stands between it and its container: the shim, containerd, the runtime in the middle of its work.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ci_build_tests::containerd::{IMAGE, Stage};
use ci_build_tests::host;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use xtask::poll;

use super::{Kind, PATIENCE, is_clean, recorded, told};
use crate::child::{STAYS, ended, up};

fn kill_pid(pid: i32) -> Result<()> {
    Ok(kill_process(Pid::from_raw(pid).context("no pid")?, Signal::KILL)?)
}

/// What nobody else runs: each test, on each containerd, has a time of its own.
fn sleeper(kind: Kind) -> String {
    static SLEEPERS: AtomicU32 = AtomicU32::new(31);
    let number = SLEEPERS.fetch_add(1, Ordering::Relaxed);
    format!("sleep {number}{}{} ", kind as u8, std::process::id())
}

/// Whose shim is killed runs on, owned by nobody: it is found by its control group. Whether we live then, or not.
pub(crate) fn killed_shim(kind: Kind) -> Result<()> {
    let stage = Stage::new(kind)?;
    let before = stage.there()?;
    let sleeper = sleeper(kind);
    let script = format!("echo up; {sleeper}; true");
    let run = |name: &str| -> Result<Child> {
        let run = up(stage.run(&["--name", name, IMAGE, "sh", "-c", &script]))?;
        recorded(&stage)?;
        Ok(run)
    };
    let kill_shim = |name: &str| -> Result<()> {
        let shims = stage.shims(name)?;
        ensure!(!shims.is_empty(), "there is no shim to be killed");
        shims.into_iter().try_for_each(kill_pid)
    };
    let is_alone = || -> Result<bool> { Ok(host::processes(&sleeper)?.contains(&sleeper)) };

    let mut alive = run("alive")?;
    kill_shim("alive")?;
    let status = alive.wait()?;
    ensure!(status.code() == Some(137), "it ended {status}");
    host::no_process(&sleeper, PATIENCE)?;
    is_clean(&stage, &before)?;

    let mut dead = run("dead")?;
    dead.kill()?;
    dead.wait()?;
    kill_shim("dead")?;
    ensure!(is_alone()?, "nothing survived the shim: the trial is none");
    let report = stage.recover()?;
    ensure!(report["removed"][0]["name"] == "dead", "{report}");
    host::no_process(&sleeper, PATIENCE)?;
    is_clean(&stage, &before)
}

/// A shim that hangs keeps its own container for a run, and nobody else's; and the run says so.
pub(crate) fn hanging_shim(kind: Kind) -> Result<()> {
    let stage = Stage::new(kind)?;
    let before = stage.there()?;
    for name in ["hangs", "goes"] {
        let mut run = stage.run(&["--no-recover", "--name", name, IMAGE, "sleep", "4000"]);
        let _ = ended(run.env("CI_BUILD_TEST_KILL_AT", "run.started"))?;
    }
    let shims = stage.shims("hangs")?;
    let signal = |signal| -> Result<()> {
        shims.iter().try_for_each(|&shim| {
            let shim = Pid::from_raw(shim).context("no pid")?;
            kill_process(shim, signal).context("the shim is gone")
        })
    };
    ensure!(!shims.is_empty(), "the container has no shim");
    signal(Signal::STOP)?;
    let run = ended(&mut stage.run(&[IMAGE, "true"]))?;
    signal(Signal::CONT)?;
    let said = told(&run);
    ensure!(said.contains("container goes") && said.contains("it did not end within 5 s"), "{said}");
    ensure!(stage.records()?.len() == 1, "{:?}", stage.records()?);
    let status = ended(&mut stage.ours(&["status", "--format", "json"]))?.stdout;
    let status: Value = serde_json::from_slice(&status).context("no status")?;
    ensure!(status["failures"][0]["times"] == 1, "{status}");
    let report = stage.recover()?;
    ensure!(report["removed"].as_array().is_some_and(|removed| removed.len() == 1), "{report}");
    is_clean(&stage, &before)
}

/// containerd is killed and started again: what runs goes on and its end is seen. What was left meanwhile is kept in mind until
/// containerd is there.
pub(crate) fn killed_containerd(kind: Kind) -> Result<()> {
    let mut stage = Stage::new(kind)?;
    let before = stage.there()?;
    let place = tempfile::tempdir()?;
    let volume = format!("{}:/in", place.path().display());
    let script = "echo up; while [ ! -e /in/go ]; do sleep 1; done; exit 6";
    let mut run = up(stage.run(&["-v", &volume, IMAGE, "sh", "-c", script]))?;
    stage.engine.kill()?;
    stage.engine.start_again()?;
    std::fs::write(place.path().join("go"), "")?;
    let status = run.wait()?;
    ensure!(status.code() == Some(6), "it ended {status}");
    is_clean(&stage, &before)?;

    let mut run = up(stage.run(&[IMAGE, "sh", "-c", STAYS]))?;
    run.kill()?;
    run.wait()?;
    stage.engine.kill()?;
    let report = stage.recover()?;
    let reason = report["failed"][0]["reason"].as_str().unwrap_or_default();
    ensure!(reason.contains("cannot reach containerd"), "{report}");
    ensure!(stage.records()?.len() == 1, "the record is gone");
    stage.engine.start_again()?;
    let report = stage.recover()?;
    ensure!(report["removed"].as_array().is_some_and(|removed| removed.len() == 1), "{report}");
    is_clean(&stage, &before)
}

/// containerd is killed and stays away: the run gives it up, and nobody runs on, though nothing limits the run.
pub(crate) fn lost_containerd(kind: Kind) -> Result<()> {
    let mut stage = Stage::new(kind)?;
    let before = stage.there()?;
    let sleeper = sleeper(kind);
    let mut run = up(stage.run(&[IMAGE, "sh", "-c", &format!("echo up; {sleeper}; true")]))?;
    recorded(&stage)?;
    stage.engine.kill()?;
    let since = Instant::now();
    let status = run.wait()?;
    ensure!(status.code() == Some(125), "it ended {status}");
    // Half a minute, and how long a busy machine takes to be asked for the last time.
    ensure!(since.elapsed() < PATIENCE, "it took {:?}", since.elapsed());
    host::no_process(&sleeper, Duration::ZERO)?;
    ensure!(stage.records()?.len() == 1, "the record is gone, though containerd has the container");
    stage.engine.start_again()?;
    let report = stage.recover()?;
    ensure!(report["removed"].as_array().is_some_and(|removed| removed.len() == 1), "{report}");
    is_clean(&stage, &before)
}

/// What a test leaves running ends with the test, also where its containerd does not come back.
pub(crate) fn nothing_outlives_the_test(kind: Kind) -> Result<()> {
    let mut stage = Stage::new(kind)?;
    let sleeper = sleeper(kind);
    let mut run = up(stage.run(&[IMAGE, "sh", "-c", &format!("echo up; {sleeper}; true")]))?;
    run.kill()?;
    run.wait()?;
    stage.engine.kill()?;
    let socket = stage.engine.socket();
    let dir = socket.parent().context("a socket without a directory")?.display().to_string();
    let is_mounted =
        || -> Result<bool> { Ok(std::fs::read_to_string("/proc/self/mountinfo")?.contains(&dir)) };
    ensure!(is_mounted()? && !stage.shims("")?.is_empty(), "nothing outlives containerd: the trial is none");
    ensure!(host::processes(&sleeper)?.contains(&sleeper), "the container does not: the trial is none");
    drop(stage);
    host::no_process(&sleeper, Duration::ZERO)?;
    host::no_process(&dir, Duration::ZERO)?;
    ensure!(!is_mounted()?, "something is still mounted beneath {dir}");
    Ok(())
}

/// The runtime is still at work on a container when nobody wants it any more: its run is killed, or its time is over. What
/// comes to be after that goes too.
pub(crate) fn cancelled_while_made(kind: Kind) -> Result<()> {
    let stage = Stage::new(kind)?;
    let before = stage.there()?;
    let place = tempfile::tempdir()?;
    let [begun, go] = ["begun", "go"].map(|name| place.path().join(name));
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in *' create '*) touch {}; while [ ! -e {} ]; do sleep 0.1; done;; esac\nexec {} \"$@\"\n",
        begun.display(),
        go.display(),
        stage.engine.programs().join("runc").display(),
    );
    wrap(&stage.engine.wrappers().join("runc"), &script)?;
    let sleeper = sleeper(kind);
    for is_killed in [true, false] {
        let (name, limits) = if is_killed { ("killed", "1h") } else { ("late", "3s") };
        let words =
            ["--name", name, "--timeout", limits, "--grace", "0s", IMAGE, "sleep", sleeper[6..].trim()];
        let mut run = stage.run(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let is_begun = poll::until(PATIENCE, || Ok(begun.exists().then_some(())))?;
        is_begun.context("the runtime is not asked: the trial is none")?;
        if is_killed {
            run.kill()?;
        }
        let status = run.wait()?;
        ensure!(is_killed || status.code() == Some(143), "it ended {status}");
        stage.recover()?;
        std::fs::write(&go, "")?;
        let is_over = poll::until(PATIENCE, || Ok(stage.shims(name)?.is_empty().then_some(())))?;
        ensure!(is_over.is_some(), "{name}: {:?}, {:?}", host::processes(name)?, stage.there()?);
        stage.recover()?;
        host::no_process(&sleeper, PATIENCE)?;
        is_clean(&stage, &before).with_context(|| name)?;
        for file in [&begun, &go] {
            std::fs::remove_file(file)?;
        }
    }
    Ok(())
}

/// containerd is killed when it has started a shim and does not know that yet: nobody knows of the shim then, but for recovery.
pub(crate) fn forgotten_shim(kind: Kind) -> Result<()> {
    const SHIM: &str = "containerd-shim-runc-v2";
    let mut stage = Stage::new(kind)?;
    let before = stage.there()?;
    let place = tempfile::tempdir()?;
    let [begun, go] = ["begun", "go"].map(|name| place.path().join(name));
    let program = stage.engine.programs().join(SHIM);
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *start) {program} \"$@\" >/dev/null; touch {begun}; while [ ! -e {go} ]; do sleep 0.1; done; exit 1;; esac\nexec {program} \"$@\"\n",
        program = program.display(),
        begun = begun.display(),
        go = go.display(),
    );
    let wrapper = stage.engine.wrappers().join(SHIM);
    wrap(&wrapper, &script)?;
    // It keeps in mind where it found the program.
    stage.engine.kill()?;
    stage.engine.start_again()?;
    let mut run = stage.run(&[IMAGE, "true"]).stderr(Stdio::null()).spawn()?;
    let is_begun = poll::until(PATIENCE, || Ok(begun.exists().then_some(())))?;
    is_begun.context("no shim is started: the trial is none")?;
    stage.engine.kill()?;
    ensure!(run.wait()?.code() == Some(125), "a run without containerd is well");
    std::fs::remove_file(wrapper)?;
    std::fs::write(go, "")?;
    stage.engine.start_again()?;
    ensure!(!stage.shims("ci-build-")?.is_empty(), "containerd has not forgotten it: the trial is none");
    stage.recover()?;
    let gone = poll::until(PATIENCE, || Ok(stage.shims("")?.is_empty().then_some(())))?;
    ensure!(
        gone.is_some(),
        "a shim is left: {:?}",
        host::processes(&stage.engine.socket().display().to_string())?
    );
    is_clean(&stage, &before)
}

/// Puts a script in the place of a program.
fn wrap(path: &Path, script: &str) -> Result<()> {
    std::fs::write(path, script)?;
    Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?)
}
