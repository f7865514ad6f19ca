//! `ci-build build`: what it builds, what it holds meanwhile, what it leaves.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ci_build_tests::host::{Host, mark, no_process, processes_by_pid};
use ci_build_tests::{Subject, dockerfile};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use xtask::build::{self, Build, Outcome};
use xtask::command;
use xtask::engines::Kind;
use xtask::images::BUSYBOX;

const RACE: &str = "SharedCacheRace/two-stages";

/// What is asked to end, and what ends by itself in a moment, has ended after this.
const PATIENCE: Duration = Duration::from_secs(30);

fn built(build: Build) -> Result<Outcome> {
    let outcome = build.run()?;
    ensure!(outcome.succeeded(), "it ended {:?}:\n{}", outcome.ended, outcome.output);
    Ok(outcome)
}

/// Where there is no hazard the image is upstream's, from the same cache; and with `--policy off` everywhere.
pub(crate) fn upstreams_image(subject: &Subject) -> Result<()> {
    let host = Host::new(subject)?;
    for (name, policy) in [("none/stages", "auto"), ("SharedCacheRace/go", "off")] {
        build::forget(&subject.client)?;
        let upstream = image(subject.upstream(name))?;
        let ours = host.build(&dockerfile(name)).argument("--policy").argument(policy);
        ensure!(image(ours)? == upstream, "{name} became another image");
    }
    Ok(())
}

fn image(build: Build) -> Result<String> {
    let file = tempfile::NamedTempFile::new().context("cannot create a file")?;
    let build =
        build.argument("--provenance=false").argument(&format!("--iidfile={}", file.path().display()));
    built(build)?;
    fs::read_to_string(file.path()).context("cannot read the image's id")
}

/// A race that upstream loses, from the frontend's image and from the text alone.
pub(crate) fn race(subject: &Subject) -> Result<()> {
    let host = Host::new(subject)?;
    for frontend in [None, Some("--frontend=none")] {
        build::forget(&subject.client)?;
        let build = host.build(&dockerfile(RACE));
        built(frontend.into_iter().fold(build, |build, flag| build.argument(flag)))?;
    }
    let left = host.scratch()?;
    ensure!(left.is_empty(), "left: {left:?}");
    for _ in 0..10 {
        build::forget(&subject.client)?;
        if !host.build(&dockerfile(RACE)).argument("--policy=off").run()?.succeeded() {
            return Ok(());
        }
    }
    bail!("upstream did not break: the control is none")
}

/// A Dockerfile on standard input, with a context and as the context.
pub(crate) fn standard_input(subject: &Subject) -> Result<()> {
    let host = Host::new(subject)?;
    let text = fs::read(dockerfile(RACE))?;
    let context = tempfile::tempdir()?;
    let context = context.path().to_str().context("a path that is no text")?;
    for frontend in ["", "--frontend=none"] {
        for place in [&["-f", "-", context][..], &["-"]] {
            build::forget(&subject.client)?;
            let mut command = host.command(&["build"]);
            command.args([frontend].into_iter().filter(|flag| !flag.is_empty())).args(place);
            let output = fed(&mut command, &text)?;
            ensure!(output.0, "{frontend} {place:?}:\n{}", output.1);
        }
    }
    // An archive is passed on as it came.
    let mut archive = Command::new("tar");
    let name = dockerfile(RACE);
    let directory = name.parent().context("a file has a directory")?;
    let archive = archive.arg("-C").arg(directory).args(["-c", "two-stages.Dockerfile"]).output()?.stdout;
    build::forget(&subject.client)?;
    let output = fed(&mut host.command(&["build", "-f", "two-stages.Dockerfile", "-"]), &archive)?;
    ensure!(output.0, "an archive:\n{}", output.1);
    Ok(())
}

/// Runs a command with a standard input: whether it succeeded, and what it said.
fn fed(command: &mut Command, input: &[u8]) -> Result<(bool, String)> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().context("it is a pipe")?.write_all(input)?;
    let output = child.wait_with_output()?;
    Ok((output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned()))
}

/// What a file's own `.dockerignore` leaves out is left out of the build of the rewritten text, too.
pub(crate) fn ignored_files(subject: &Subject) -> Result<()> {
    let host = Host::new(subject)?;
    let context = tempfile::tempdir()?;
    let race = fs::read_to_string(dockerfile(RACE))?;
    let text = format!("{race}COPY . /context/\nRUN test -e /context/kept && test ! -e /context/secret\n");
    for (name, text) in [
        ("app.Dockerfile", &text[..]),
        ("app.Dockerfile.dockerignore", "secret\n"),
        (".dockerignore", "kept\n"),
        ("kept", ""),
        ("secret", ""),
    ] {
        fs::write(context.path().join(name), text)?;
    }
    build::forget(&subject.client)?;
    built(host.build(&context.path().join("app.Dockerfile")).argument("--frontend=none"))?;
    Ok(())
}

/// A build that waits in a step until it is ended, of which nothing else is there.
struct Waiting {
    child: Child,
    stderr: BufReader<ChildStderr>,
    /// What the step's process has in its command line.
    mark: String,
}

impl Waiting {
    /// Starts it by a command that gets the arguments of a build, and waits until the step runs.
    fn start(mut command: Command, dir: &Path) -> Result<Self> {
        let mark = mark(dir);
        let step =
            format!("RUN --mount=type=cache,target=/waiting,sharing=locked echo begun && sleep {mark}");
        fs::write(dir.join("Dockerfile"), format!("FROM local/busybox\n{step}\n"))?;
        command.args(["--progress=plain", "--timeout=5m", "-t", "waiting:1"]).arg(dir);
        Self::run(command, mark)
    }

    fn run(mut command: Command, mark: String) -> Result<Self> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let mut stderr = BufReader::new(child.stderr.take().context("it is a pipe")?);
        let mut seen = String::new();
        loop {
            let begin = seen.len();
            ensure!(stderr.read_line(&mut seen)? > 0, "the build ended:\n{seen}");
            if seen[begin..].trim_end().ends_with(" begun")
                && seen[begin..].starts_with('#')
                && !seen[begin..].contains("RUN")
            {
                return Ok(Self { child, stderr, mark });
            }
        }
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal).context("cannot signal")
    }

    /// Its exit code, and what it said since the step began.
    fn end(mut self) -> Result<(Option<i32>, String)> {
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest)?;
        Ok((self.child.wait()?.code(), rest))
    }
}

/// Nothing of a build is there any more: no lock, no process, no file, no lease.
fn nothing_left(host: &Host, mark: &str) -> Result<()> {
    host.quiet(PATIENCE)?;
    no_process(mark, PATIENCE)?;
    let (files, leases) = (host.scratch()?, host.leases()?);
    ensure!(files.is_empty() && leases.is_empty(), "left: {files:?} {leases:?}");
    Ok(())
}

/// While it builds it shares the lock, and says so; whoever wants it alone gives up.
pub(crate) fn holds_the_lock(subject: &Subject) -> Result<()> {
    let (host, dir) = (Host::new(subject)?, tempfile::tempdir()?);
    let build = Waiting::start(host.command(&["build"]), dir.path())?;
    let holders = host.holders()?;
    ensure!(
        matches!(&holders[..], [one] if one.starts_with("docker buildx build --progress=plain -t waiting:1")),
        "held by {holders:?}"
    );
    let mut alone = host.command(&["lock", "--exclusive", "--wait", "0", "--", "true"]);
    ensure!(alone.stderr(Stdio::null()).status()?.code() == Some(75), "somebody has it alone");
    built(host.build(&dockerfile("none/one-stage")).argument("--wait=0")).context("beside another build")?;
    build.signal(Signal::TERM)?;
    let mark = build.mark.clone();
    build.end()?;
    // The other one is leased by whoever runs this test.
    command::run(&mut host.command(&["lock", "--exclusive", "--wait", "30s", "--", "true"]))?;
    no_process(&mark, PATIENCE)?;
    Ok(())
}

/// Whatever ends it, nothing is left.
pub(crate) fn signals(subject: &Subject) -> Result<()> {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let (host, dir) = (Host::new(subject)?, tempfile::tempdir()?);
        let build = Waiting::start(host.command(&["build"]), dir.path())?;
        let mark = build.mark.clone();
        build.signal(signal)?;
        let (code, said) = build.end()?;
        ensure!(code.is_some_and(|code| code != 0), "{signal:?}: {code:?}\n{said}");
        nothing_left(&host, &mark).with_context(|| format!("{signal:?}"))?;
    }
    Ok(())
}

/// A killed command's build ends as well; its files go with the next one.
pub(crate) fn killed(subject: &Subject) -> Result<()> {
    let (host, dir) = (Host::new(subject)?, tempfile::tempdir()?);
    let build = Waiting::start(host.command(&["build"]), dir.path())?;
    let mark = build.mark.clone();
    ensure!(!host.scratch()?.is_empty(), "a build has files");
    build.signal(Signal::KILL)?;
    build.end()?;
    host.quiet(PATIENCE)?;
    no_process(&mark, PATIENCE)?;
    built(host.build(&dockerfile("none/one-stage")))?;
    let left = host.scratch()?;
    ensure!(left.is_empty(), "left: {left:?}");
    Ok(())
}

/// A build ends with the job that wanted it.
pub(crate) fn orphaned(subject: &Subject) -> Result<()> {
    let (host, dir) = (Host::new(subject)?, tempfile::tempdir()?);
    // The shell is the session's leader, and says its pid.
    let mut job = host.session("echo $$ > \"$0\"; \"$CI_BUILD\" build \"$@\"; :");
    let pid = dir.path().join("pid");
    job.arg(&pid);
    let build = Waiting::start(job, dir.path())?;
    let leader: i32 = fs::read_to_string(&pid)?.trim().parse()?;
    kill_process(Pid::from_raw(leader).context("a pid")?, Signal::KILL)?;
    let mark = build.mark.clone();
    let (_, said) = build.end()?;
    ensure!(said.contains("the job that wanted it has ended"), "{said}");
    nothing_left(&host, &mark)
}

/// A build that looks for its job when that has ended already does not begin.
pub(crate) fn orphaned_before(subject: &Subject) -> Result<()> {
    let (host, dir) = (Host::new(subject)?, tempfile::tempdir()?);
    fs::write(dir.path().join("Dockerfile"), "FROM local/busybox\nRUN true\n")?;
    let built = |script: &str| -> Result<bool> {
        let mut job = host.session(script);
        // Ended is who writes here: the build.
        let output = job.args(["job", "build", "--quiet", "--tag", "orphan:1"]).arg(dir.path()).output()?;
        let is_built = command::succeeds(subject.client.docker().args(["image", "rm", "orphan:1"]))?;
        ensure!(is_built || output.stdout.is_empty(), "{output:?}");
        Ok(is_built)
    };
    // Ended is also who was not buried yet, which we do only when all is said.
    let ended = "[ \"$(cut -d' ' -f3 /proc/$$/stat 2>/dev/null || echo Z)\" = Z ]";
    let orphan = format!("(until {ended}; do :; done; exec \"$CI_BUILD\" \"$@\") & kill -9 $$");
    ensure!(built("\"$CI_BUILD\" \"$@\"; :")?, "with its job it is not built");
    ensure!(!built(&orphan)?, "without its job it is built");
    ensure!(built(&format!("trap '' HUP; {orphan}"))?, "with nohup it is not built");
    host.quiet(PATIENCE)
}

/// Nor does one whose job ends while it waits for the lock: it does not wait on.
pub(crate) fn orphaned_in_line(subject: &Subject) -> Result<()> {
    let (host, dir) = (Host::new(subject)?, tempfile::tempdir()?);
    fs::write(dir.path().join("Dockerfile"), "FROM local/busybox\nRUN true\n")?;
    let mut holder = host.command(&["lock", "--", "sh", "-c", "echo in; cat"]);
    let mut holder = holder.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    BufReader::new(holder.stdout.take().context("a pipe")?).read_line(&mut String::new())?;
    let pid = dir.path().join("pid");
    let mut job = host.session("echo $$ > \"$0\"; \"$CI_BUILD\" build --wait 1m \"$1\"; :");
    let mut job = job.arg(&pid).arg(dir.path()).stderr(Stdio::piped()).spawn()?;
    let mut said = BufReader::new(job.stderr.take().context("a pipe")?);
    let mut line = String::new();
    said.read_line(&mut line)?;
    ensure!(line.contains("waiting for"), "{line}");
    let leader: i32 = fs::read_to_string(&pid)?.trim().parse()?;
    kill_process(Pid::from_raw(leader).context("a pid")?, Signal::KILL)?;
    let mut rest = String::new();
    said.read_to_string(&mut rest)?;
    ensure!(!rest.contains("error:"), "it waited on: {rest}");
    job.wait()?;
    drop(holder.stdin.take());
    holder.wait()?;
    host.quiet(PATIENCE)
}

/// What takes too long is ended.
pub(crate) fn timeout(subject: &Subject) -> Result<()> {
    let (host, dir) = (Host::new(subject)?, tempfile::tempdir()?);
    let mark = mark(dir.path());
    fs::write(dir.path().join("Dockerfile"), format!("FROM local/busybox\nRUN sleep {mark}\n"))?;
    let mut command = host.command(&["build", "--timeout", "1s"]);
    let output = command.arg(dir.path()).stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(!output.status.success() && said.contains("it took longer than 1s (--timeout)"), "{said}");
    nothing_left(&host, &mark)
}

/// What was built is leased until the job ends.
pub(crate) fn lease(subject: &Subject) -> Result<()> {
    let host = Host::new(subject)?;
    let mut job = host.session("\"$CI_BUILD\" build -q -t leased:1 - < \"$0\" && echo built && read end");
    job.arg(dockerfile("none/one-stage"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    let mut job = job.spawn()?;
    let mut lines = BufReader::new(job.stdout.take().context("it is a pipe")?).lines();
    let id = lines.next().context("an image's id")??;
    ensure!(lines.next().context("the end of the build")?? == "built", "it was not built: {id}");
    let leases = command::output(&mut host.command(&["lease", "list", "--format", "json"]))?;
    ensure!(
        leases.contains(&format!("\"{id}\"")) && host.leases()? == ["leased:1"],
        "{id} is not leased: {leases}"
    );
    drop(job.stdin.take());
    job.wait()?;
    let left = host.leases()?;
    ensure!(left.is_empty(), "leased beyond the job's end: {left:?}");
    Ok(())
}

/// Exit codes are buildx's; 75 gave up waiting. A build that fails leases nothing.
pub(crate) fn exit_codes(subject: &Subject) -> Result<()> {
    let host = Host::new(subject)?;
    let failing = dockerfile("bad/failing-step");
    let context = failing.parent().context("a file has a directory")?;
    let code = |mut command: Command| -> Result<Option<i32>> {
        Ok(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?.code())
    };
    let of = |words: &[&str]| {
        let mut ours = host.command(&["build"]);
        ours.args(words).arg("-f").arg(&failing).arg(context);
        code(ours)
    };
    let mut upstream = subject.client.buildx();
    upstream.arg("build").arg("-f").arg(&failing).arg(context);
    let upstream = code(upstream)?;
    ensure!(upstream.is_some_and(|code| code != 0) && of(&[])? == upstream, "not {upstream:?}");
    ensure!(of(&["--no-such-flag"])? != Some(0), "a flag that nobody has");
    ensure!(of(&["--policy", "fast"])? == Some(2), "a policy that is none");
    ensure!(host.leases()?.is_empty(), "a failed build is leased");
    let mut holder = host.command(&["lock", "--", "sh", "-c", "echo in; cat"]);
    let mut holder = holder.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    BufReader::new(holder.stdout.take().context("a pipe")?).read_line(&mut String::new())?;
    let mut waiting = host.session("exec \"$CI_BUILD\" build --wait 0 \"$0\"");
    waiting.arg(context);
    ensure!(code(waiting)? == Some(75), "it did not wait for the lock");
    drop(holder.stdin.take());
    holder.wait()?;
    Ok(())
}

/// A step that waits for a cache is named, with the step of the same or of another build that has it.
pub(crate) fn waits(subject: &Subject) -> Result<()> {
    // BuildKit 0.8 does not tell which builds run.
    let is_told = subject.engine.kind() != Kind::Docker20_10;
    let (host, dir) = (Host::new(subject)?, tempfile::tempdir()?);
    let file = dir.path().join("Dockerfile");
    // Whoever comes first has the cache for long enough that it is told. Two steps of one text would be one step.
    let stage = |name: &str| {
        let run = format!(": {name}; [ -e /own/had ] || {{ touch /own/had; echo begun; sleep 8; }}");
        format!("FROM local/busybox AS {name}\nRUN --mount=type=cache,target=/own,sharing=locked {run}\n")
    };
    let text = stage("a") + &stage("b");
    build::forget(&subject.client)?;
    fs::write(
        &file,
        format!("{text}FROM local/busybox\nCOPY --from=a /bin/sh /a\nCOPY --from=b /bin/sh /b\n"),
    )?;
    let outcome = built(host.build(&file))?;
    let told: Vec<_> = outcome.output.lines().filter(|line| line.starts_with("waiting: ")).collect();
    let is_right = |line: &&str| line.contains("for the cache /own, which is held by [");
    ensure!(
        told.len() == usize::from(is_told) && told.iter().all(is_right),
        "{told:?} in:\n{}",
        outcome.output
    );
    if !is_told {
        return Ok(());
    }

    let holder = Waiting::start(host.command(&["build"]), dir.path())?;
    let step = "RUN --mount=type=cache,target=/waiting,sharing=locked true";
    fs::write(&file, format!("FROM local/busybox\n{step}\n"))?;
    let mut waiting = host.command(&["build", "--progress=plain", "--timeout=2m"]);
    let mut waiting = waiting.arg(dir.path()).stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(waiting.stderr.take().context("it is a pipe")?).lines();
    let told = lines.find_map(|line| line.ok().filter(|line| line.starts_with("waiting: ")));
    holder.signal(Signal::TERM)?;
    holder.end()?;
    for _ in lines {}
    ensure!(waiting.wait()?.success(), "it did not get the cache that was free again");
    let told = told.context("nothing was told of another build")?;
    let parts = [
        step,
        "for the cache /waiting, which is held by [stage-0 2/2] RUN",
        "of another build: 'docker buildx build --progress=plain",
    ];
    ensure!(parts.iter().all(|part| told.contains(part)), "{told}");
    Ok(())
}

/// How long steps took is measured, and given to the frontend by the next build.
pub(crate) fn durations(subject: &Subject) -> Result<()> {
    let (host, dir) = (Host::new(subject)?, tempfile::tempdir()?);
    let file = dir.path().join("Dockerfile");
    let text =
        "FROM local/busybox\nARG CI_BUILD_DURATIONS\nRUN sleep 1.5 && echo \"given=$CI_BUILD_DURATIONS\"\n";
    fs::write(&file, text)?;
    build::forget(&subject.client)?;
    let given = || -> Result<bool> {
        let outcome = built(host.build(&file).argument("--no-cache"))?;
        Ok(outcome.output.contains(r#"given={"schema":1,"seconds":{"#))
    };
    let (first, second) = (given()?, given()?);
    let is_measured = subject.engine.kind() != Kind::Docker20_10;
    ensure!(!first && second == is_measured, "given at first: {first}, then: {second}");
    Ok(())
}

/// What a killed run left goes before a build, unless that is switched off; a build without an engine of its own needs none.
pub(crate) fn recovers_first(subject: &Subject) -> Result<()> {
    let host = Host::new(subject)?;
    let containers = || command::output(subject.client.docker().args(["ps", "--all", "--quiet"]));
    let before = containers()?;
    let mut run = host.command(&["run", "-d", BUSYBOX, "sleep", "4000"]);
    run.env("CI_BUILD_TEST_KILL_AT", "run.ended").stdout(Stdio::null()).status()?;
    ensure!(containers()? != before, "nothing was left: the test shows nothing");
    built(host.build(&dockerfile("none/one-stage")).argument("--no-recover"))?;
    ensure!(containers()? != before, "--no-recover recovered");
    let outcome = built(host.build(&dockerfile("none/one-stage")))?;
    ensure!(outcome.output.contains("recovered what killed commands left"), "{}", outcome.output);
    ensure!(containers()? == before, "what was left is there");
    Ok(())
}

/// A step whose runc is killed runs on, which the doctor tells; while a build has it he does not.
pub(crate) fn step_without_runc(subject: &Subject) -> Result<()> {
    let (host, dir) = (Host::new(subject)?, tempfile::tempdir()?);
    let steps = || -> Result<Value> {
        let doctor = host.command(&["doctor", "--format", "json"]).stdin(Stdio::null()).output()?;
        let doctor: Value = serde_json::from_slice(&doctor.stdout).context("no document")?;
        let checks = doctor["checks"].as_array().context("no list")?;
        checks.iter().find(|check| check["check"] == "steps").cloned().context("no such check")
    };
    let build = Waiting::start(host.command(&["build"]), dir.path())?;
    let mark = build.mark.clone();
    ensure!(steps()?["state"] == "fine", "a step that a build has: {:#}", steps()?);
    let executor = subject.engine.data_root().join("buildkit/executor").display().to_string();
    let runc = processes_by_pid(&executor)?;
    let runc: Vec<_> =
        runc.iter().filter(|(_, line)| line.contains("runc ") && line.contains(" run ")).collect();
    let [(pid, line)] = runc[..] else { bail!("not one runc: {runc:?}") };
    let id = line.split_whitespace().last().context("no container")?;
    kill_process(Pid::from_raw(*pid).context("a pid")?, Signal::KILL)?;
    build.end()?;
    let told = steps()?;
    ensure!(
        told["state"] == "wrong" && told["found"].as_str().is_some_and(|found| found.contains(id)),
        "{told:#}"
    );
    let advice = told["advice"].as_array().context("no advice")?;
    ensure!(advice.iter().any(|line| *line == format!("`runc delete --force {id}` ends it")), "{told:#}");
    // What the doctor says to do is what helps.
    for line in advice.iter().filter_map(|line| line.as_str()?.split('`').nth(1)) {
        // The engine's own runc.
        let environment = fs::read(format!("/proc/{}/environ", subject.engine.pid()))?;
        let environment = String::from_utf8_lossy(&environment).into_owned();
        let path = environment.split('\0').find_map(|variable| variable.strip_prefix("PATH="));
        let path = path.context("the engine has no PATH")?;
        command::run(Command::new("sh").args(["-c", line]).env("PATH", path))?;
    }
    no_process(&mark, PATIENCE)?;
    ensure!(steps()?["state"] == "fine", "{:#}", steps()?);
    Ok(())
}
