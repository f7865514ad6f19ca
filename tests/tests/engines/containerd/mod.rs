//! `ci-build run --containerd` and recovery on a containerd without docker: nothing is left on any way out.

mod lost;

use std::io::{Read as _, Write as _};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ci_build_tests::containerd::{IMAGE, Stage, report};
use ci_build_tests::recovery::containerd::{Ground, SCENARIOS, calls, repeat};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::Signal;
use serde_json::Value;
use xtask::{command, poll};

use crate::child::{OBEYS, STAYS, ended, kill, up};

pub(crate) use lost::{
    cancelled_while_made, forgotten_shim, hanging_shim, killed_containerd, killed_shim, lost_containerd,
    nothing_outlives_the_test,
};
pub(crate) use xtask::containerd::Kind;

/// What is asked to end has ended by then; on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the container of a test writes, in bytes.
const WRITTEN: u64 = 1 << 20;

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Waits until the only record says that its container runs, and gives the record's name. It may be up before containerd has said
/// so to who started it.
fn recorded(stage: &Stage) -> Result<String> {
    let running = poll::until(PATIENCE, || {
        // One that is just being written has a name for the time being.
        let mut records = stage.records()?.into_iter();
        let record = records.find(|name| !name.starts_with('.')).context("no record")?;
        let text = std::fs::read_to_string(stage.state().join("journal").join(&record))?;
        Ok(text.contains("running").then_some(record))
    })?;
    running.context("it is not known to run")
}

/// Nothing of ours is left: no record, nothing in containerd that was not there, no second recovery with anything to do.
fn is_clean(stage: &Stage, before: &std::collections::BTreeSet<String>) -> Result<()> {
    let there = stage.there()?;
    ensure!(there == *before, "left: {:?}", there.symmetric_difference(before).collect::<Vec<_>>());
    ensure!(stage.records()?.is_empty(), "records: {:?}", stage.records()?);
    let again = stage.recover()?;
    ensure!(again["removed"] == Value::Array(vec![]) && again["records"] == 0, "{again}");
    Ok(())
}

/// Codes, streams and options are docker's where they have its names, and nothing is left.
pub(crate) fn as_asked(kind: Kind) -> Result<()> {
    let stage = Stage::new(kind)?;
    let before = stage.there()?;
    for (words, code) in [
        (&[IMAGE, "true"][..], 0),
        (&["local/busybox", "sh", "-c", "exit 7"], 7),
        (&[IMAGE, "nothing-of-this-name"], 127),
        (&[IMAGE, "/tmp"], 126),
        (&["local/absent", "true"], 2),
        (&["--user", "nobody-known", IMAGE, "true"], 2),
        (&["--no-such-flag", IMAGE], 2),
        (&["--tty", "--interactive", IMAGE, "true"], 2),
        (&["--archive", "/nowhere.tar"], 2),
        (&["--snapshotter", "nothing-of-this-name", IMAGE, "true"], 125),
    ] {
        let output = ended(&mut stage.run(words))?;
        ensure!(output.status.code() == Some(code), "{words:?} ended {}: {}", output.status, told(&output));
        let there = stage.there()?;
        ensure!(there == before, "{words:?} left {:?}", there.difference(&before).collect::<Vec<_>>());
    }
    let shared = tempfile::tempdir()?;
    std::fs::write(shared.path().join("file"), "of the host")?;
    let volume = format!("{}:/in:ro", shared.path().display());
    let script = "pwd; echo $HOME $A; id -u; id -G; cat /in/file; touch /in/no /no /cache/yes 2>&1; cat /proc/sys/kernel/hostname";
    let words = [
        "--workdir",
        "/tmp",
        "--user",
        "ada",
        "--env",
        "A=1",
        "--volume",
        &volume,
        "--tmpfs",
        "/cache",
        "--hostname",
        "ci",
        "--read-only",
        "--label",
        "a=b",
        "--name",
        "named",
        IMAGE,
        "sh",
        "-c",
        script,
    ];
    let output = ended(&mut stage.run(&words))?;
    let expected = "/tmp\n/home/ada 1\n1000\n1000 2000\nof the hosttouch: /in/no: Read-only file system\n\
        touch: /no: Read-only file system\nci\n";
    ensure!(String::from_utf8_lossy(&output.stdout) == expected, "{output:?}");

    // A container of this name is somebody's, and stays.
    let names = ["containers", "create", IMAGE, "theirs"];
    command::run(stage.ctr().args(names))?;
    let output = ended(&mut stage.run(&["--name", "theirs", IMAGE, "true"]))?;
    ensure!(output.status.code() == Some(2) && told(&output).contains("already"), "{output:?}");
    let info = command::output(stage.ctr().args(["containers", "list", "--quiet"]))?;
    ensure!(info.lines().any(|name| name == "theirs"), "it is gone: {info}");
    command::run(stage.ctr().args(["containers", "delete", "theirs"]))?;

    let mut cat = stage.run(&["-i", IMAGE, "cat"]);
    let mut cat = cat.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    cat.stdin.take().context("no input")?.write_all(b"to and fro")?;
    ensure!(cat.wait_with_output()?.stdout == b"to and fro");

    // More than any buffer holds, to somebody who reads only when no more goes in.
    let (mut reader, writer) = std::io::pipe()?;
    let much = [IMAGE, "dd", "if=/dev/zero", "bs=1M", "count=4"];
    let mut much = stage.run(&much).stdout(writer.try_clone()?).stderr(Stdio::null()).spawn()?;
    let is_full = || {
        rustix::event::poll(&mut [PollFd::new(&writer, PollFlags::OUT)], Some(&Timespec::default())) == Ok(0)
    };
    poll::until(PATIENCE, || Ok(is_full().then_some(())))?.context("nothing comes")?;
    drop(writer);
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes)?;
    ensure!(much.wait()?.success() && bytes.len() == 4 << 20, "{} bytes came", bytes.len());
    is_clean(&stage, &before)
}

/// An image that is there and not unpacked is unpacked, once, also by two at a time.
pub(crate) fn unpacks(kind: Kind) -> Result<()> {
    let stage = Stage::new(kind)?;
    let before = stage.there()?;
    let name = "docker.io/local/other:latest";
    let mut import = stage.ctr();
    import.args(["images", "import", "--no-unpack"]).arg(stage.other_archive());
    if kind == Kind::Containerd2_1 {
        import.arg("--local");
    }
    command::run(&mut import)?;
    let packed = stage.there()?;
    let layers = |there: &std::collections::BTreeSet<String>| {
        there.iter().filter(|thing| thing.starts_with("snapshot ")).count()
    };
    ensure!(layers(&packed) == layers(&before), "it was unpacked: the trial is none");
    let says = || stage.run(&[name, "cat", "/says"]).stdout(Stdio::piped()).spawn();
    for run in [says()?, says()?] {
        let output = run.wait_with_output()?;
        ensure!(output.stdout == b"other", "{output:?}");
    }
    let unpacked = stage.there()?;
    ensure!(layers(&unpacked) == layers(&before) + 1, "{unpacked:?}");
    ensure!(ended(&mut stage.run(&[name, "true"]))?.status.success());
    ensure!(stage.there()? == unpacked, "it was unpacked again");
    command::run(stage.ctr().args(["images", "remove", "--sync", name]))?;
    is_clean(&stage, &before)
}

/// An archive's image is containerd's for as long as the container is.
pub(crate) fn archive(kind: Kind) -> Result<()> {
    let stage = Stage::new(kind)?;
    let before = stage.there()?;
    let archive = stage.other_archive().display().to_string();
    let output = ended(&mut stage.run(&["--archive", &archive, "--", "cat", "/says"]))?;
    ensure!(output.stdout == b"other", "{output:?}");
    is_clean(&stage, &before)?;
    // One that is lost half-way.
    let bytes = std::fs::read(stage.other_archive())?;
    std::fs::write(stage.other_archive(), &bytes[..bytes.len() / 2])?;
    let output = ended(&mut stage.run(&["--archive", &archive, "--", "true"]))?;
    ensure!(output.status.code() == Some(2), "{output:?}");
    is_clean(&stage, &before)
}

/// A signal reaches the container, whose code it is; one that does not obey is killed.
pub(crate) fn signals(kind: Kind) -> Result<()> {
    let stage = Stage::new(kind)?;
    let before = stage.there()?;
    // Where we were started with a signal ignored, so was the container.
    for (signal, script, code) in [
        (Signal::TERM, OBEYS, 5),
        (Signal::INT, OBEYS, 5),
        (Signal::HUP, OBEYS, 5),
        (Signal::TERM, STAYS, 137),
    ] {
        if ci_build::process::is_ignored(signal.as_raw()) {
            continue;
        }
        let mut run = up(stage.run(&["--grace", "2s", IMAGE, "sh", "-c", script]))?;
        kill(&run, signal)?;
        let status = run.wait()?;
        ensure!(status.code() == Some(code), "{signal:?} ended it {status}");
        ensure!(stage.there()? == before, "{signal:?} left something");
    }
    let output = ended(&mut stage.run(&["--timeout", "3s", "--grace", "1s", IMAGE, "sleep", "4000"]))?;
    // On a busy machine its time may be over before it begins.
    let is_known = matches!(output.status.code(), Some(137 | 143));
    ensure!(is_known && told(&output).contains("--timeout"), "{output:?}");
    let piped = format!(
        "\"$CI_BUILD\" run --containerd --grace 1s {IMAGE} sh -c 'while echo y; do :; done' | head -1"
    );
    let output = ended(stage.session(&piped).stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    ensure!(output.stdout == b"y\n" && told(&output).contains("read no more"), "{output:?}");
    is_clean(&stage, &before)
}

/// It runs for as long as its job, and no longer.
pub(crate) fn ends_with_its_job(kind: Kind) -> Result<()> {
    let stage = Stage::new(kind)?;
    let before = stage.there()?;
    let script = format!(
        "\"$CI_BUILD\" run --containerd --grace 1s {IMAGE} sh -c \"{}\"; exit 3",
        STAYS.replace("''", "'' ")
    );
    let mut session = stage.session(&script);
    session.stderr(Stdio::null());
    let mut session = up(session)?;
    // setsid has become the shell, which is the job.
    kill(&session, Signal::KILL)?;
    session.wait()?;
    let gone =
        poll::until(
            PATIENCE,
            || Ok((stage.there()? == before && stage.records()?.is_empty()).then_some(())),
        )?;
    ensure!(
        gone.is_some(),
        "the end of a job left {:?}",
        stage.there()?.difference(&before).collect::<Vec<_>>()
    );
    is_clean(&stage, &before)
}

/// Whatever kills a run or a recovery: after one recovery nothing is left, and what others have stands. The engines share
/// the places; the whole of it is `cargo xtask recovery`.
pub(crate) fn killed(kind: Kind) -> Result<()> {
    let ground = Ground::new(kind)?;
    let all =
        SCENARIOS.iter().flat_map(|scenario| scenario.places.iter().map(move |place| (scenario, place)));
    let place = Kind::ALL.iter().position(|of_all| *of_all == kind);
    for (number, (scenario, at)) in all.enumerate() {
        if Some(number % Kind::ALL.len()) == place {
            let row = repeat(&ground, kind.name(), scenario, at, 2)?;
            let is_well = row.killed > 0 && row.left.is_empty();
            ensure!(is_well, "{} at {at}, {} times: {:#?}", scenario.name, row.killed, row.left);
        }
    }
    Ok(())
}

/// Whichever call to containerd fails: nothing is left after one recovery, and the journal says nothing that is not so. The
/// engines share commands and ways to fail.
pub(crate) fn failing_calls(kind: Kind) -> Result<()> {
    let ground = Ground::new(kind)?;
    let (kinds, faults) = (Kind::ALL.len(), calls::faults());
    let place = Kind::ALL.iter().position(|of_all| *of_all == kind);
    for (number, call) in calls::CALLS.iter().enumerate() {
        if Some(number % kinds) == place {
            let row = calls::repeat(kind.name(), &ground, *call, &faults[number % faults.len()])?;
            ensure!(row.killed > 0 && row.left.is_empty(), "{}: {:#?}", row.scenario, row.left);
        }
    }
    Ok(())
}

/// The control: `ctr run --rm` is its client's promise.
pub(crate) fn killed_ctr(kind: Kind) -> Result<()> {
    let stage = Stage::new(kind)?;
    let before = stage.there()?;
    let mut ctr = stage.ctr();
    ctr.args(["run", "--rm", IMAGE, "bare", "sh", "-c", STAYS]);
    let mut ctr = up(ctr)?;
    ctr.kill()?;
    ctr.wait()?;
    let there = stage.there()?;
    let left: Vec<_> = there.difference(&before).map(String::as_str).collect();
    ensure!(left == ["container bare", "snapshot bare", "task bare"], "the control leaves {left:?}");
    // Not ours, so it stays.
    stage.recover()?;
    ensure!(stage.there()? == there, "a recovery removed what is not ours");
    Ok(())
}

/// After a reboot all that the journal knows is left over.
pub(crate) fn reboot(kind: Kind) -> Result<()> {
    let stage = Stage::new(kind)?;
    let before = stage.there()?;
    let mut run = up(stage.run(&[IMAGE, "sh", "-c", STAYS]))?;
    let report = stage.recover()?;
    ensure!(report["alive"] == 1 && report["removed"] == Value::Array(vec![]), "{report}");
    let recover = || {
        let mut recover = stage.ours(&["recover", "--format", "json"]);
        recover.env("CI_BUILD_TEST_BOOT", "another");
        recover
    };
    // Its owner holds the record's lock, which a real boot would have ended.
    let held = report_of(recover())?;
    ensure!(held["alive"] == 1, "{held}");
    kill(&run, Signal::KILL)?;
    run.wait()?;
    let report = report_of(recover())?;
    ensure!(report["removed"].as_array().is_some_and(|removed| removed.len() == 1), "{report}");
    is_clean(&stage, &before)
}

fn report_of(mut recover: Command) -> Result<Value> {
    report(&mut recover)
}

/// What has our labels and no record goes when its owner is dead. Labels alone, which may be copied, make nobody's ours.
pub(crate) fn unrecorded(kind: Kind) -> Result<()> {
    let stage = Stage::new(kind)?;
    let before = stage.there()?;
    let mut run = up(stage.run(&[IMAGE, "sh", "-c", STAYS]))?;
    let record = recorded(&stage)?;
    std::fs::remove_file(stage.state().join("journal").join(&record))?;
    let report = stage.recover()?;
    ensure!(report["alive"] == 1 && report["removed"] == Value::Array(vec![]), "{report}");

    let info = command::output(stage.ctr().args(["containers", "info", &format!("ci-build-{record}")]))?;
    let info: Value = serde_json::from_str(&info)?;
    let labels = info["Labels"].as_object().context("no labels")?;
    let mut copy = stage.ctr();
    copy.args(["run", "--detach"]);
    for (name, value) in labels {
        copy.args(["--label", &format!("{name}={}", value.as_str().unwrap_or_default())]);
    }
    command::run(copy.args([IMAGE, "copied", "sleep", "4000"]))?;
    let with_copy = stage.there()?;
    run.kill()?;
    run.wait()?;
    // Our job is in the labels too: it lives, and what has no record may have been handed over to it.
    let report = stage.recover()?;
    ensure!(report["removed"] == Value::Array(vec![]), "{report}");
    let output = ended(stage.ours(&["recover", "--format", "json"]).env("CI_BUILD_TEST_BOOT", "another"))?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(report["removed"].as_array().is_some_and(|removed| removed.len() == 1), "{report}");
    ensure!(report["removed"][0]["name"] == format!("ci-build-{record}"), "{report}");
    let there = stage.there()?;
    let copied: Vec<_> = there.difference(&before).cloned().collect();
    ensure!(copied.len() == 3 && copied.iter().all(|thing| with_copy.contains(thing)), "{copied:?}");
    Ok(())
}

/// Two recoveries share the work, and a run beside them is nobody's victim.
pub(crate) fn side_by_side(kind: Kind) -> Result<()> {
    let stage = Stage::new(kind)?;
    let before = stage.there()?;
    for _ in 0..4 {
        let mut run = stage.run(&["--no-recover", IMAGE, "sleep", "4000"]);
        let _ = ended(run.env("CI_BUILD_TEST_KILL_AT", "run.started"))?;
    }
    let recover = || stage.ours(&["recover", "--format", "json"]).stdout(Stdio::piped()).spawn();
    let recoveries = [recover()?, recover()?, recover()?];
    let run = ended(&mut stage.run(&[IMAGE, "sh", "-c", "exit 7"]))?;
    ensure!(run.status.code() == Some(7), "a run beside recoveries ended {run:?}");
    let mut removed = std::collections::BTreeSet::new();
    for recovery in recoveries {
        let report: Value = serde_json::from_slice(&recovery.wait_with_output()?.stdout)?;
        for container in report["removed"].as_array().into_iter().flatten() {
            ensure!(removed.insert(container["id"].to_string()), "removed twice: {container}");
        }
    }
    // The run may have recovered some first.
    ensure!(removed.len() <= 4, "{removed:?}");
    is_clean(&stage, &before)
}

/// What cannot be removed is kept with its reason, not tried at once by a run, and tried by a recovery.
pub(crate) fn failing(kind: Kind) -> Result<()> {
    let stage = Stage::new(kind)?;
    let before = stage.there()?;
    let write = format!("head -c {WRITTEN} /dev/zero >/written; sleep 4000");
    let mut run = stage.run(&[IMAGE, "sh", "-c", &write]);
    let _ = ended(run.env("CI_BUILD_TEST_KILL_AT", "run.started"))?;
    let mut recover = stage.ours(&["recover", "--format", "json"]);
    // Who it is, its namespaces, the leases, the containers, and then the removal.
    let output = ended(recover.env("CI_BUILD_TEST_FAIL_CALL", "5"))?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(output.status.code() == Some(1), "it ended {}", output.status);
    let reason = report["failed"][0]["reason"].as_str().unwrap_or_default();
    ensure!(reason.contains("a test lets"), "{report}");
    ensure!(ended(&mut stage.run(&[IMAGE, "true"]))?.status.success());
    let left = stage.there()?;
    ensure!(left != before, "a run tried again at once");
    let has_written = |report: &Value| report["freed"].as_u64().is_some_and(|freed| freed >= WRITTEN);
    let dry = poll::until(PATIENCE, || {
        Ok(Some(report_of(stage.ours(&["recover", "--dry-run", "--format", "json"]))?).filter(has_written))
    })?;
    let dry = dry.context("what it writes is not told")?;
    ensure!(stage.there()? == left && stage.records()?.len() == 1, "a dry run removed something: {dry}");
    let report = stage.recover()?;
    ensure!(report["removed"].as_array().is_some_and(|removed| removed.len() == 1), "{report}");
    ensure!(
        has_written(&report) && dry["removed"][0]["id"] == report["removed"][0]["id"],
        "{dry} for {report}"
    );
    is_clean(&stage, &before)
}
