//! `ci-build watch` on real engines.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use anyhow::{Context, Result, ensure};
use ci_build_tests::Subject;
use ci_build_tests::proxy::{Fate, Proxy};
use xtask::engines::{self, Options};
use xtask::{command, images, poll};

use super::{Host, PATIENCE, signal};

/// A `ci-build watch`, which ends with this.
pub(super) struct Watch {
    child: Child,
    stderr: BufReader<ChildStderr>,
}

impl Watch {
    /// Waits until it says this.
    fn wait_for(&mut self, word: &str) -> Result<()> {
        let mut said = String::new();
        loop {
            let begin = said.len();
            let length = self.stderr.read_line(&mut said).context("the watch does not speak")?;
            ensure!(length > 0, "the watch ended without {word:?}:\n{said}");
            if said[begin..].contains(word) {
                return Ok(());
            }
        }
    }

    /// Ends it, and gives what it said beyond that.
    fn end(mut self) -> Result<String> {
        let mut rest = String::new();
        self.child.kill().context("cannot end the watch")?;
        self.stderr.read_to_string(&mut rest).context("the watch does not speak")?;
        Ok(rest)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // One that has ended by itself is as good.
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

impl Host<'_> {
    /// Follows the engine's events. On return it does.
    pub(super) fn watch(&self) -> Result<Watch> {
        self.watch_at(self.subject.client.host())
    }

    /// As [`Host::watch`], through this address.
    fn watch_at(&self, address: &str) -> Result<Watch> {
        let mut watch = self.ci_build(&["watch"]);
        watch.env("DOCKER_HOST", address).stderr(Stdio::piped());
        let mut child = watch.spawn().context("cannot watch")?;
        let stderr = child.stderr.take().context("it has a stderr")?;
        let mut watch = Watch { child, stderr: BufReader::new(stderr) };
        watch.wait_for("following")?;
        Ok(watch)
    }
}

/// A watch sees uses from before a restart of the engine, and those from before it found the engine again.
pub(crate) fn outlives_the_engine(subject: &Subject) -> Result<()> {
    let engine = engines::start(subject.engine.kind(), Options::default())?;
    let client = engine.client().clone();
    images::busybox(&client)?;
    let beside =
        Subject { client: client.clone(), frontend: String::new(), command: subject.command.clone(), engine };
    let host = Host::new(&beside)?;
    let id = host.image("lives:a")?;
    // The control: without a watch nobody writes it down.
    command::run(&mut host.ci_build(&["prune", "--dry-run", "--repository", "lives"]))?;
    host.use_image("lives:a")?;
    ensure!(host.recorded(&id)?.is_none(), "somebody else has written it down");
    let mut watch = host.watch()?;
    let before = host.use_image("lives:a")?;
    host.is_recorded(&id, before).context("before the restart")?;
    let mut dockerd = restart(beside.engine.pid())?;
    let mut restarted = || {
        let answers = || command::succeeds(client.docker().arg("version"));
        poll::until(PATIENCE, || Ok(answers()?.then_some(())))?.context("dockerd does not come back")?;
        let before = host.use_image("lives:a")?;
        host.is_recorded(&id, before).context("after the restart")?;
        watch.wait_for("lost")?;
        watch.wait_for("following")
    };
    let restarted = restarted();
    signal(dockerd.id(), "TERM")?;
    dockerd.wait().context("cannot wait for dockerd")?;
    restarted
}

/// An engine that stumbles over a question about a container is not lost, and the image is known by its name.
pub(crate) fn goes_on_after_a_refusal(subject: &Subject) -> Result<()> {
    let host = Host::new(subject)?;
    let id = host.image("stumbles:a")?;
    let words = "RWLayer of container is unexpectedly nil";
    let proxy = Proxy::new(&subject.engine.socket(), move |_, line| {
        let is_of_one =
            line.starts_with("GET") && line.contains("/containers/") && !line.contains("/containers/json");
        if is_of_one { Fate::Refused(500, words.into()) } else { Fate::Passes }
    })?;
    let watch = host.watch_at(&proxy.address())?;
    let before = host.use_image("stumbles:a")?;
    host.is_recorded(&id, before)?;
    let said = watch.end()?;
    ensure!(said.is_empty(), "{said}");
    host.docker(&["rmi", "stumbles:a"]).map(drop)
}

/// Ends a dockerd and starts it anew, as it was started.
fn restart(pid: u32) -> Result<Child> {
    let of = |file: &str| fs::read(format!("/proc/{pid}/{file}")).context("the engine is gone");
    let words = |bytes: Vec<u8>| -> Vec<String> {
        let words = bytes.split(|&byte| byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
        words.filter(|word| !word.is_empty()).collect()
    };
    let (line, environment) = (words(of("cmdline")?), words(of("environ")?));
    let directory = fs::read_link(format!("/proc/{pid}/cwd")).context("the engine is gone")?;
    let variables = environment.iter().filter_map(|variable| variable.split_once('='));
    let [program, arguments @ ..] = &*line else { anyhow::bail!("the engine has no command line") };
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(variables).current_dir(directory).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    signal(pid, "TERM")?;
    let is_gone = poll::until(PATIENCE, || {
        let stat =
            fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).unwrap_or_default();
        Ok((stat.is_empty() || stat.contains(") Z ")).then_some(()))
    })?;
    ensure!(is_gone.is_some(), "dockerd does not end");
    command.spawn().context("dockerd does not start")
}
