//! `ci-build run` and `ci-build recover`: what docker does is done, and nothing is left on any way out.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ci_build_tests::Subject;
use ci_build_tests::host::Host;
use ci_build_tests::proxy::{Fate, Proxy};
use ci_build_tests::recovery::{Ground, Row, SCENARIOS, calls, deaths};
use rustix::process::Signal;
use serde_json::Value;
use xtask::images::BUSYBOX;
use xtask::{command, poll};

use crate::EVERY;
use crate::child::{OBEYS, STAYS, ended, kill, up};

/// All containers and volumes.
fn there(subject: &Subject) -> Result<BTreeSet<String>> {
    let containers = command::output(subject.client.docker().args(["ps", "--all", "--quiet"]))?;
    let volumes = command::output(subject.client.docker().args(["volume", "ls", "--quiet"]))?;
    Ok(containers.lines().chain(volumes.lines()).map(str::to_owned).collect())
}

/// What the container of a test writes, in bytes.
const WRITTEN: u64 = 1 << 20;

fn recovered(host: &Host) -> Result<Value> {
    reported(host, &["recover", "--format", "json"])
}

fn reported(host: &Host, words: &[&str]) -> Result<Value> {
    let told = ended(&mut host.command(words))?;
    serde_json::from_slice(&told.stdout)
        .with_context(|| format!("no report: {}", String::from_utf8_lossy(&told.stderr)))
}

/// Codes, output and input are docker's, and nothing is left.
pub(crate) fn as_docker(subject: &Subject) -> Result<()> {
    let (host, before) = (Host::new(subject)?, there(subject)?);
    for (words, code) in [
        (&[BUSYBOX, "true"][..], 0),
        (&[BUSYBOX, "sh", "-c", "exit 7"], 7),
        (&[BUSYBOX, "nothing-of-this-name"], 127),
        (&[BUSYBOX, "/tmp"], 126),
        (&["--no-such-flag", BUSYBOX], 125),
        (&["-v", "/anonymous", "--rm=false", BUSYBOX, "true"], 0),
        (&["--restart", "no", BUSYBOX, "true"], 0),
    ] {
        let mut run = host.command(&["run"]);
        let output = ended(run.args(words))?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(code), "{words:?} ended {}: {told}", output.status);
        ensure!(there(subject)? == before, "{words:?} left something");
    }
    let mut cat = host.command(&["run", "-i", BUSYBOX, "cat"]);
    let mut cat = cat.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    cat.stdin.take().context("no input")?.write_all(b"to and fro")?;
    ensure!(cat.wait_with_output()?.stdout == b"to and fro");
    let report = recovered(&host)?;
    ensure!(report["records"] == 0 && report["removed"] == Value::Array(vec![]), "{report}");
    ensure!(host.holders()?.is_empty() && host.leases()?.is_empty());
    Ok(())
}

/// A signal reaches the container, whose code it is; one that does not obey is killed.
pub(crate) fn signals(subject: &Subject) -> Result<()> {
    let (host, before) = (Host::new(subject)?, there(subject)?);
    // Where we were started with a signal ignored, the engine was too, and then a shell in it cannot trap it.
    for (signal, script, codes) in [
        (Signal::TERM, OBEYS, &[5][..]),
        (Signal::INT, OBEYS, &[5, 137]),
        (Signal::HUP, OBEYS, &[5, 137]),
        (Signal::TERM, STAYS, &[137]),
    ] {
        if ci_build::process::is_ignored(signal.as_raw()) {
            continue;
        }
        let mut run =
            up(host.command(&["run", "--grace", "2s", "-v", "/anonymous", BUSYBOX, "sh", "-c", script]))?;
        kill(&run, signal)?;
        let status = run.wait()?;
        let is_known = status.code().is_some_and(|code| codes.contains(&code));
        ensure!(is_known, "{signal:?} ended it {status}");
        ensure!(there(subject)? == before, "{signal:?} left something");
    }
    let output =
        ended(&mut host.command(&["run", "--timeout", "1s", "--grace", "1s", BUSYBOX, "sleep", "4000"]))?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(137) && told.contains("--timeout"), "{}: {told}", output.status);
    ensure!(there(subject)? == before, "a timeout left something");
    Ok(())
}

/// It runs for as long as its job, and no longer.
pub(crate) fn ends_with_its_job(subject: &Subject) -> Result<()> {
    let (host, before) = (Host::new(subject)?, there(subject)?);
    let script = format!("\"$CI_BUILD\" run --grace 1s {BUSYBOX} sh -c \"{STAYS}\"; exit 3");
    let mut session = host.session(&script.replace("''", "'' "));
    let session = up({
        session.stderr(Stdio::null());
        session
    })?;
    // setsid has become the shell, which is the job.
    kill(&session, Signal::KILL)?;
    let mut session = session;
    session.wait()?;
    host.quiet(Duration::from_secs(60))?;
    let gone = xtask::poll::until(Duration::from_secs(60), || Ok((there(subject)? == before).then_some(())))?;
    ensure!(gone.is_some(), "the end of a job left something");
    Ok(())
}

/// A detached container stays with its job, and goes after it.
pub(crate) fn detached(subject: &Subject) -> Result<()> {
    let (host, before) = (Host::new(subject)?, there(subject)?);
    let write = format!("head -c {WRITTEN} /dev/zero >/written; sleep 4000");
    let script = format!("\"$CI_BUILD\" run -d {BUSYBOX} sh -c '{write}'; \"$CI_BUILD\" recover >&2");
    let output = ended(&mut host.session(&script))?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(told.contains("nothing to recover"), "its job lives: {told}");
    let id = String::from_utf8(output.stdout)?.trim().to_owned();
    let left = there(subject)?;
    ensure!(left.iter().any(|container| id.starts_with(container.as_str())), "it is gone");
    let has_written = |report: &Value| report["freed"].as_u64().is_some_and(|freed| freed >= WRITTEN);
    let dry = poll::until(Duration::from_secs(60), || {
        Ok(Some(reported(&host, &["recover", "--dry-run", "--format", "json"])?).filter(has_written))
    })?;
    let dry = dry.context("what it writes is not told")?;
    ensure!(dry["dry_run"] == true && there(subject)? == left, "a dry run removed something: {dry}");
    let report = recovered(&host)?;
    ensure!(report["removed"][0]["id"] == id.as_str() && report["records"] == 1, "{report}");
    ensure!(has_written(&report) && report["dry_run"] == false, "{report}");
    ensure!(dry["removed"] == report["removed"] && dry["records"] == 1, "{dry} for {report}");
    ensure!(there(subject)? == before, "a detached container was left");
    Ok(())
}

/// Of a scenario that is played at different moments, so many are enough here.
const MOMENTS: u32 = 6;

/// Whatever kills a run or a recovery: after one recovery nothing is left, and what others have stands. The engines share
/// the places; the whole of it is `cargo xtask recovery`.
pub(crate) fn killed(subject: &Subject) -> Result<()> {
    let all = SCENARIOS.iter().flat_map(|scenario| scenario.places().map(move |place| (scenario, place)));
    // Nothing is left after each: so they may share what must stay.
    let ground = Ground::new(subject.client.clone(), subject.command.clone())?;
    for (_, (scenario, place)) in all.enumerate().filter(|(number, _)| subject.takes(*number, EVERY)) {
        let (moments, mut is_killed) = (scenario.moments(), false);
        for moment in (0..moments).step_by(moments.div_ceil(MOMENTS) as usize) {
            let what = || format!("{} at {place}, {moment}", scenario.name);
            is_killed |= scenario.play(&ground, place, moment).with_context(what)?;
            let left = ground.leftovers().with_context(what)?;
            ensure!(left.is_empty(), "{}: {left:#?}", what());
        }
        ensure!(is_killed, "{} is never killed at {place}: the trial is none", scenario.name);
    }
    Ok(())
}

/// The control: docker's own promise ends with docker.
pub(crate) fn killed_docker(subject: &Subject) -> Result<()> {
    let before = there(subject)?;
    let mut docker = subject.client.docker();
    docker.args(["run", "--rm", BUSYBOX, "sh", "-c", STAYS]);
    let mut docker = up(docker)?;
    docker.kill()?;
    docker.wait()?;
    let left: Vec<_> = there(subject)?.difference(&before).cloned().collect();
    ensure!(left.len() == 1, "the control leaves nothing: {left:?}");
    command::run(subject.client.docker().args(["rm", "--force"]).args(left))
}

/// After a reboot all that the journal knows is left over, and what only labels tell of where the machine is known.
pub(crate) fn reboot(subject: &Subject) -> Result<()> {
    let (host, before) = (Host::new(subject)?, there(subject)?);
    let mut run = up(host.command(&["run", BUSYBOX, "sh", "-c", STAYS]))?;
    let report = recovered(&host)?;
    ensure!(report["alive"] == 1 && report["removed"] == Value::Array(vec![]), "{report}");
    let mut recover = host.command(&["recover", "--format", "json"]);
    let told = ended(recover.env("CI_BUILD_TEST_BOOT", "another"))?;
    let report: Value = serde_json::from_slice(&told.stdout)?;
    // Its owner holds the record's lock, which a real boot would have ended.
    ensure!(report["alive"] == 1, "{report}");
    kill(&run, Signal::KILL)?;
    run.wait()?;
    let told = ended(recover.env("CI_BUILD_TEST_BOOT", "another"))?;
    let report: Value = serde_json::from_slice(&told.stdout)?;
    ensure!(report["removed"].as_array().is_some_and(|removed| removed.len() == 1), "{report}");
    ensure!(there(subject)? == before, "a reboot left something");
    Ok(())
}

/// Who makes an image of our container, and a container of that, has it for himself.
pub(crate) fn commit(subject: &Subject) -> Result<()> {
    let (host, before) = (Host::new(subject)?, there(subject)?);
    let docker = |words: &[&str]| command::output(subject.client.docker().args(words));
    let mut run = up(host.command(&["run", "--name", "ours", BUSYBOX, "sh", "-c", STAYS]))?;
    docker(&["commit", "ours", "local/committed"])?;
    kill(&run, Signal::KILL)?;
    run.wait()?;
    let theirs = docker(&["run", "-d", "local/committed", "sleep", "4000"])?;
    // Its command is the one of the container; what counts is that it stands.
    let report = recovered(&host)?;
    ensure!(report["removed"].as_array().is_some_and(|removed| removed.len() == 1), "{report}");
    ensure!(report["removed"][0]["name"] == "ours", "{report}");
    let left: Vec<_> = there(subject)?.difference(&before).cloned().collect();
    ensure!(left.len() == 1 && theirs.starts_with(&left[0]), "{left:?} for {theirs}");
    docker(&["rm", "--force", theirs.trim()])?;
    docker(&["rmi", "local/committed"])?;
    Ok(())
}

/// Two recoveries share the work, and a run beside them is nobody's victim.
pub(crate) fn side_by_side(subject: &Subject) -> Result<()> {
    let (host, before) = (Host::new(subject)?, there(subject)?);
    for _ in 0..4 {
        let mut run = host.command(&["run", "-d", BUSYBOX, "sleep", "4000"]);
        let _ = ended(run.env("CI_BUILD_TEST_KILL_AT", "run.ended"))?;
    }
    let recover = || host.command(&["recover", "--format", "json"]).stdout(Stdio::piped()).spawn();
    let recoveries = [recover()?, recover()?, recover()?];
    let run = ended(&mut host.command(&["run", BUSYBOX, "sh", "-c", "exit 7"]))?;
    ensure!(run.status.code() == Some(7), "a run beside recoveries ended {}", run.status);
    let mut removed = BTreeSet::new();
    for recovery in recoveries {
        let report: Value = serde_json::from_slice(&recovery.wait_with_output()?.stdout)?;
        for container in report["removed"].as_array().into_iter().flatten() {
            ensure!(removed.insert(container["id"].to_string()), "removed twice: {container}");
        }
    }
    // The run may have recovered some first.
    ensure!(removed.len() <= 4 && there(subject)? == before, "{removed:?}");
    Ok(())
}

/// What cannot be removed is kept with its reason, not tried at once by a run, and tried by a recovery.
pub(crate) fn failing(subject: &Subject) -> Result<()> {
    let (host, before) = (Host::new(subject)?, there(subject)?);
    let mut run = host.command(&["run", "-d", BUSYBOX, "sleep", "4000"]);
    let _ = ended(run.env("CI_BUILD_TEST_KILL_AT", "run.ended"))?;
    let mut recover = host.command(&["recover", "--format", "json"]);
    let output = ended(recover.env("CI_BUILD_TEST_FAIL_CALL", "4"))?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(output.status.code() == Some(1), "it ended {}", output.status);
    ensure!(
        report["failed"][0]["reason"].as_str().is_some_and(|reason| reason.contains("a test lets")),
        "{report}"
    );
    ensure!(ended(&mut host.command(&["run", BUSYBOX, "true"]))?.status.success());
    ensure!(there(subject)? != before, "a run tried again at once");
    let status = ended(&mut host.command(&["status", "--format", "json"]))?.stdout;
    let status: Value = serde_json::from_slice(&status).context("no status")?;
    let failure = &status["failures"][0];
    ensure!(
        failure["times"] == 1 && failure["command"] == format!("docker run -d {BUSYBOX} sleep 4000"),
        "{status}"
    );
    let text = String::from_utf8(ended(&mut host.command(&["status"]))?.stdout)?;
    ensure!(text.contains("WHY IT IS STILL THERE") && text.contains("a test lets"), "{text}");
    let report = recovered(&host)?;
    ensure!(report["removed"].as_array().is_some_and(|removed| removed.len() == 1), "{report}");
    ensure!(there(subject)? == before, "a failure was forgotten");
    Ok(())
}

/// A shim that is killed takes its container with it, or leaves it to us.
pub(crate) fn killed_shim(subject: &Subject) -> Result<()> {
    let ground = Ground::new(subject.client.clone(), subject.command.clone())?;
    deaths::SHIMS.iter().try_for_each(|way| well(&deaths::shims("", &ground, way, 1)?))
}

/// An engine that is killed and started anew has nothing of ours after one recovery.
pub(crate) fn killed_engine(subject: &Subject) -> Result<()> {
    let (kind, command) = (subject.engine.kind(), &subject.command);
    deaths::ENGINES.iter().try_for_each(|way| well(&deaths::engines(kind, command, way, 1)?.1))
}

/// docker waits forever for the removal of a container that its engine refused to start; ours ends, and with docker's words.
pub(crate) fn refused_start(subject: &Subject) -> Result<()> {
    const MOMENT: Duration = Duration::from_secs(5);
    let (host, before) = (Host::new(subject)?, there(subject)?);
    let judge = |_, line: &str| match line.contains("/start") {
        true => Fate::Refused(500, "told to refuse".into()),
        false => Fate::Passes,
    };
    let proxy = Proxy::new(&subject.engine.socket(), judge)?;

    let mut docker = subject.client.at(&proxy.address()).docker();
    docker.args(["run", "--rm", "--name", "refused", BUSYBOX, "true"]).stdin(Stdio::null());
    let mut docker = docker.stderr(Stdio::null()).spawn()?;
    let alone = poll::until(MOMENT, || Ok(docker.try_wait()?))?;
    docker.kill()?;
    docker.wait()?;
    ensure!(alone.is_none(), "docker alone ends: the trial is none");
    command::run(subject.client.docker().args(["rm", "refused"]))?;

    let mut run = host.command(&["run", BUSYBOX, "true"]);
    let output = ended(run.env("DOCKER_HOST", proxy.address()).env_remove("DOCKER_CONTEXT"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(125) && told.contains("told to refuse"), "{output:?}");
    ensure!(there(subject)? == before, "it left something");
    Ok(())
}

/// Whichever request to the engine fails: nothing is left after one recovery, and the journal says nothing that is not so.
/// The engines share commands and ways to fail.
pub(crate) fn failing_requests(subject: &Subject) -> Result<()> {
    let ground = Ground::new(subject.client.clone(), subject.command.clone())?;
    let faults = calls::faults();
    let all =
        calls::CALLS.iter().enumerate().map(|(number, call)| (number, call, &faults[number % faults.len()]));
    for (_, call, fault) in all.filter(|(number, ..)| subject.takes(*number, EVERY)) {
        well(&calls::repeat("", &subject.engine.socket(), &ground, *call, fault)?)?;
    }
    Ok(())
}

fn well(Row { scenario, place, killed, left, .. }: &Row) -> Result<()> {
    ensure!(*killed > 0 && left.is_empty(), "{scenario}, {place}: {left:#?}");
    Ok(())
}
