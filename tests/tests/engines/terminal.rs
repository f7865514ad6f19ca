//! Runs at a terminal: what script(1) makes, with a person at it who is a pipe.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use ci_build_tests::Subject;
use ci_build_tests::containerd::{IMAGE, Stage};
use ci_build_tests::host::Host;
use xtask::artifacts;
use xtask::images::BUSYBOX;

use crate::containerd;

/// The container has a terminal, and hears what is typed.
const ASKS: &str = "test -t 0 && test -t 1 && echo at a terminal; read word; echo heard $word; exit 7";

pub(crate) fn docker(subject: &Subject) -> Result<()> {
    let host = Host::new(subject)?;
    talk(&|command| host.set_up(command), &format!("run -it {BUSYBOX}"))
}

pub(crate) fn containerd(kind: containerd::Kind) -> Result<()> {
    let stage = Stage::new(kind)?;
    let before = stage.there()?;
    talk(&|command| stage.set_up(command), &format!("run --containerd -t -i {IMAGE}"))?;
    ensure!(stage.there()? == before, "it left something");
    Ok(())
}

/// A shell at a terminal runs a program that answers and one that does not start, and finds its terminal as it was after each.
fn talk(set_up: &dyn Fn(Command) -> Command, run: &str) -> Result<()> {
    let line = format!(
        "stty rows 33 cols 77; stty -g; \"$CI_BUILD\" {run} sh -c '{ASKS}'; echo ended $?; stty -g; \
         \"$CI_BUILD\" {run} /no/such/program; echo failed $?; stty -g; echo over"
    );
    let mut script = set_up(Command::new("script"));
    script.env("CI_BUILD", artifacts::command()?).env("SHELL", "/bin/sh");
    script.args(["--quiet", "--command", &line, "/dev/null"]);
    let mut script =
        script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("cannot run script")?;
    let mut keyboard = script.stdin.take().context("it has a stdin")?;
    let mut screen = BufReader::new(script.stdout.take().context("it has a stdout")?);
    let mut seen = String::new();
    while !seen.contains("at a terminal") {
        ensure!(screen.read_line(&mut seen)? > 0, "it ended: {seen}");
    }
    keyboard.write_all(b"hello\n").context("cannot type")?;
    while !seen.contains("over") {
        ensure!(screen.read_line(&mut seen)? > 0, "it ended: {seen}");
    }
    drop(keyboard);
    screen.read_to_string(&mut seen)?;
    script.wait().context("cannot wait for script")?;
    let lines: Vec<&str> = seen.lines().map(str::trim).collect();
    for line in ["heard hello", "ended 7", "failed 127"] {
        ensure!(lines.contains(&line), "no {line:?} in:\n{seen}");
    }
    // `stty -g`, three times.
    let states: Vec<_> = lines.iter().filter(|line| line.matches(':').count() > 30).collect();
    ensure!(states.len() == 3 && states.iter().all(|state| *state == states[0]), "{states:?} in:\n{seen}");
    Ok(())
}
