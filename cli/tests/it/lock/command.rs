//! `ci-build lock`, as scripts use it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// With no signal ignored: whoever runs the tests may have been called by nohup, or in the background of a script.
pub(crate) fn ci_build(state: &Path, line: &str) -> Command {
    let mut command = Command::new("env");
    command.args(["--default-signal=HUP,INT,QUIT,TERM", "--", env!("CARGO_BIN_EXE_ci-build")]);
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.env_clear().env("PATH", path).env("CI_BUILD_STATE_DIR", state);
    command.env("CI_BUILD", env!("CARGO_BIN_EXE_ci-build")).args(line.split_ascii_whitespace());
    command
}

/// What a command line printed, and its exit code. The script is given as one word.
fn run(state: &Path, line: &str, script: &str) -> (String, String, i32) {
    let output = ci_build(state, line).args(["sh", "-c", script]).stdin(Stdio::null()).output().unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (stdout, stderr, output.status.code().unwrap())
}

/// A command that has the lock until its stdin ends.
pub(super) struct Holder {
    pub(super) child: Child,
    stdin: ChildStdin,
    stdout: BufReader<std::process::ChildStdout>,
}

impl Holder {
    pub(super) fn new(state: &Path, line: &str, script: &str) -> Self {
        let mut command = ci_build(state, line);
        command.args(["sh", "-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut holder = Self { child, stdin, stdout };
        assert_eq!(holder.line(), "in");
        holder
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().into()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Ends the command, and gives the exit code.
    pub(super) fn end(mut self) -> i32 {
        drop(self.stdin);
        self.child.wait().unwrap().code().unwrap()
    }
}

pub(super) const HOLD: &str = "echo in; cat > /dev/null";

#[test]
fn streams_and_exit_codes_are_the_commands() {
    let state = tempfile::tempdir().unwrap();
    let mut child = ci_build(state.path(), "lock --store x -- sh -c")
        .arg("cat; echo err >&2; exit 3")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"through").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((&output.stdout[..], &output.stderr[..]), (&b"through"[..], &b"err\n"[..]));
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(run(state.path(), "lock --store x --", "kill -15 $$").2, 143);
    let missing = ci_build(state.path(), "lock --store x -- /nowhere/at/all").output().unwrap();
    assert_eq!(missing.status.code(), Some(127));
    let no_program = ci_build(state.path(), "lock --store x -- /etc/passwd").output().unwrap();
    assert_eq!(no_program.status.code(), Some(126));
}

#[test]
fn readers_share_and_a_writer_does_not() {
    let state = tempfile::tempdir().unwrap();
    let state = state.path();
    let code = |line: &str| run(state, line, "true").2;
    let reader = Holder::new(state, "lock --store x --shared --", HOLD);
    assert_eq!(code("lock --store x --shared --wait 0 --"), 0);
    assert_eq!(code("lock --store x --exclusive --wait 0 --"), 75);
    assert_eq!(code("lock --store y --exclusive --wait 0 --"), 0, "another store");
    assert_eq!(reader.end(), 0);
    let writer = Holder::new(state, "lock --store x --exclusive --", HOLD);
    assert_eq!(code("lock --store x --shared --wait 0 --"), 75);
    assert_eq!(writer.end(), 0);
    assert_eq!(code("lock --store x --exclusive --wait 0 --"), 0);
}

#[test]
fn who_gives_up_is_told_who_holds() {
    let state = tempfile::tempdir().unwrap();
    let holder = Holder::new(state.path(), "lock --store x --", HOLD);
    // Longer than the silence at the start.
    let (stdout, stderr, code) = run(state.path(), "lock --store x --wait 1200ms --", "echo never");
    assert_eq!((stdout.as_str(), code), ("", 75));
    let pid = holder.child.id().to_string();
    // How long it took is the machine's.
    let shown = (1..60).fold(stderr.replace(&pid, "PID"), |text, n| text.replace(&format!(" {n}s"), " …s"));
    insta::assert_snapshot!(shown, @r"
    waiting for the store 'x': held by 'sh -c echo in; cat > /dev/null', pid PID, for …s
    error: gave up waiting for the store 'x' after …s: held by 'sh -c echo in; cat > /dev/null', pid PID, for …s
      help: `ci-build status` shows who holds it and who waits; --wait waits longer
    ");
    holder.end();
}

#[test]
fn the_gate_opens_again_when_a_writer_gives_up() {
    let state = tempfile::tempdir().unwrap();
    let state = state.path();
    let reader = Holder::new(state, "lock --store x --shared --", HOLD);
    let mut writer = ci_build(state, "lock --store x --exclusive --wait 3s -- true");
    let mut writer = writer.stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(writer.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    assert!(line.starts_with("waiting for the store 'x': held by"), "{line}");
    // The writer has the gate now, and another reader does not get past it.
    assert_eq!(run(state, "lock --store x --shared --wait 0 --", "true").2, 75);
    // A polite one would have left it open.
    assert_eq!(writer.wait().unwrap().code(), Some(75));
    assert_eq!(run(state, "lock --store x --shared --wait 0 --", "true").2, 0);
    let mut polite = ci_build(state, "lock --store x --exclusive --wait 1h --polite 1h -- true");
    let mut polite = polite.stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(polite.stderr.take().unwrap());
    line.clear();
    stderr.read_line(&mut line).unwrap();
    assert!(line.starts_with("waiting"), "{line}");
    assert_eq!(run(state, "lock --store x --shared --wait 0 --", "true").2, 0);
    reader.end();
    assert_eq!(polite.wait().unwrap().code(), Some(0));
    line.clear();
    stderr.read_to_string(&mut line).unwrap();
    assert!(line.starts_with("got the store 'x' after"), "{line}");
}

#[test]
fn inside_a_command_that_has_the_lock_it_is_had_already() {
    let state = tempfile::tempdir().unwrap();
    let state = state.path();
    let inner = |mode: &str| format!("$CI_BUILD lock --store x {mode} --wait 20s -- echo inner");
    for outer in ["--exclusive", "--shared"] {
        let line = format!("lock --store x {outer} --");
        let (stdout, stderr, code) = run(state, &line, &inner("--shared"));
        assert_eq!((stdout.as_str(), stderr.as_str(), code), ("inner\n", "", 0), "shared in {outer}");
    }
    let (stdout, _, code) = run(state, "lock --store x --exclusive --", &inner("--exclusive"));
    assert_eq!((stdout.as_str(), code), ("inner\n", 0));
    let (_, stderr, code) = run(state, "lock --store x --shared --", &inner("--exclusive"));
    assert_eq!(code, 2);
    assert!(stderr.contains("would wait for itself"), "{stderr}");

    // A stranger's writer waits, so the gate is closed, but not for what the writer waits for.
    let mut outer = Holder::new(
        state,
        "lock --store x --shared --",
        "echo in; read go; $CI_BUILD lock --store x --shared --wait 20s -- echo inner",
    );
    let mut writer = ci_build(state, "lock --store x --exclusive -- true");
    let mut writer = writer.stderr(Stdio::piped()).spawn().unwrap();
    BufReader::new(writer.stderr.take().unwrap()).read_line(&mut String::new()).unwrap();
    outer.stdin.write_all(b"go\n").unwrap();
    assert_eq!(outer.line(), "inner");
    assert_eq!(outer.end(), 0);
    assert_eq!(writer.wait().unwrap().code(), Some(0));
}

#[test]
fn signals_reach_the_command_and_what_it_leaves_running_holds_nothing() {
    let state = tempfile::tempdir().unwrap();
    let state = state.path();
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let script = "trap 'exit 7' TERM INT HUP; exec 3<&0; cat <&3 >/dev/null 2>&1 & echo in; wait";
        let mut holder = Holder::new(state, "lock --store x --", script);
        holder.signal(signal);
        assert_eq!(holder.child.wait().unwrap().code(), Some(7), "{signal:?}");
        // cat still runs: its stdin is open.
        assert_eq!(run(state, "lock --store x --wait 0 --", "true").2, 0);
        drop(holder.stdin);
    }
}

#[test]
fn the_lock_outlives_a_killed_holder_for_as_long_as_its_command_runs() {
    let state = tempfile::tempdir().unwrap();
    let state = state.path();
    let mut holder = Holder::new(state, "lock --store x --", "echo in; read go; echo out");
    holder.signal(Signal::KILL);
    holder.child.wait().unwrap();
    let (_, stderr, code) = run(state, "lock --store x --wait 0 --", "true");
    assert_eq!(code, 75);
    assert!(stderr.contains("held by 'sh -c echo in"), "{stderr}");
    holder.stdin.write_all(b"go\n").unwrap();
    assert_eq!(holder.line(), "out");
    assert_eq!(run(state, "lock --store x --wait 20s --", "true").2, 0);
    // Stale records are gone with the first who looks.
    let records = || std::fs::read_dir(state.join("stores/name.x/holders")).unwrap().count();
    assert_eq!(records(), 1);
    let looking = Holder::new(state, "lock --store x --", HOLD);
    assert_eq!(run(state, "lock --store x --wait 0 --", "true").2, 75);
    assert_eq!(records(), 1, "the looker's alone");
    looking.end();
    assert_eq!(records(), 0);
}

#[test]
fn bad_input_says_what_to_do() {
    let state = tempfile::tempdir().unwrap();
    let shown = |line: &str| {
        let (_, stderr, code) = run(state.path(), line, "true");
        (stderr.lines().next().unwrap_or_default().to_owned(), code)
    };
    let (message, code) = shown("lock --store x --wait=-5s --");
    assert_eq!(code, 2);
    assert!(message.contains("a time cannot be negative"), "{message}");
    assert_eq!(shown("lock --store x --shared --exclusive --").1, 2);
    assert_eq!(shown("lock --store= --").1, 2);
    let file = state.path().join("file");
    std::fs::write(&file, "").unwrap();
    let (_, stderr, code) = run(&file, "lock --store x --", "true");
    assert_eq!(code, 125);
    assert!(stderr.contains("CI_BUILD_STATE_DIR"), "{stderr}");
}
