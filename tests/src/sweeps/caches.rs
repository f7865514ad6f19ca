//! Real tools in a loop, each with a cache that is swept all the time, as if everything that was not used for two seconds were old. A tool
//! that fails is the sweep's fault: beside nobody it does not.

use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Subject;
use super::raw::Cache;

/// A tool: how it is set up, and what it does again and again.
struct Tool {
    name: &'static str,
    /// What says its version.
    version: &'static str,
    /// What is done once, in `$WORK`. If it fails, the tool is not to be had here.
    setup: &'static str,
    /// What is done again and again; `$N` counts, so that what is used changes.
    job: &'static str,
    /// Where its cache is, in `$WORK`.
    cache: &'static str,
    /// By which preset it is swept.
    preset: &'static str,
    /// What it downloads from on the loopback, a Python program that prints its port; it is `$PORT` then. Without one it asks where this
    /// machine is configured to.
    server: Option<&'static str>,
}

const TOOLS: [Tool; 4] = [
    Tool {
        name: "pip",
        version: "python3 -m pip --version",
        setup: "mkdir cache",
        job: "rm -rf out; python3 -m pip --isolated download --quiet --disable-pip-version-check --no-deps --cache-dir \"$WORK/cache\" \
              --index-url \"http://127.0.0.1:$PORT/simple\" --trusted-host 127.0.0.1 -d out p$((N / 2 % 3))",
        cache: "cache",
        preset: "pip",
        server: Some(concat!(include_str!("serve.py"), include_str!("index.py"))),
    },
    Tool {
        name: "npm",
        version: "npm --version",
        setup: "mkdir cache",
        job: "set -- is-odd ms once wrappy; shift $((N % 4)); rm -rf out; mkdir out; cd out; \
              npm install --silent --no-audit --no-fund --cache \"$WORK/cache\" --prefix . \"$1\"",
        cache: "cache/_cacache",
        preset: "npm",
        server: None,
    },
    Tool {
        name: "cargo",
        version: "cargo --version",
        setup: "mkdir home; cp \"${CARGO_HOME:-$HOME/.cargo}\"/config.toml home/ 2>/dev/null; \
                for n in 0 1 2 3; do set -- itoa ryu memchr cfg-if; shift $n; mkdir -p p$n/src; : >p$n/src/lib.rs; \
                printf '[package]\\nname = \"p\"\\nversion = \"0.1.0\"\\nedition = \"2021\"\\n[dependencies]\\n%s = \"1\"\\n[workspace]\\n' \"$1\" >p$n/Cargo.toml; \
                sed -i 's/memchr = \"1\"/memchr = \"2\"/' p$n/Cargo.toml; done",
        job: "cd p$((N % 4)); rm -rf target; CARGO_HOME=\"$WORK/home\" cargo check --quiet",
        cache: "home",
        preset: "cargo",
        server: None,
    },
    Tool {
        name: "huggingface_hub",
        version: "./venv/bin/python -c 'import huggingface_hub; print(huggingface_hub.__version__)'",
        setup: "python3 -m venv venv && ./venv/bin/pip install --quiet --disable-pip-version-check huggingface_hub && mkdir -p cache/hub",
        job: "HF_HUB_DISABLE_TELEMETRY=1 HF_HUB_DISABLE_PROGRESS_BARS=1 HF_HUB_DISABLE_XET=1 HF_ENDPOINT=http://127.0.0.1:$PORT HF_HOME=\"$WORK/cache\" \
              ./venv/bin/python -c \"import sys, huggingface_hub as h; d = h.snapshot_download('org/m' + sys.argv[1]); \
              [open(d + '/' + n).read() for n in ('config.json', 'model.bin')]\" $((N / 2 % 3))",
        cache: "cache/hub",
        preset: "huggingface",
        server: Some(concat!(include_str!("serve.py"), include_str!("hub.py"))),
    },
];

/// The names of all tools.
pub fn names() -> impl Iterator<Item = &'static str> {
    TOOLS.iter().map(|tool| tool.name)
}

/// Runs all of them, or those of these names, and hands on what came of each.
///
/// # Errors
/// When there is no tool of such a name, a directory cannot be made, or what came of one cannot be kept. A tool that is not to be had here is
/// told, and is no error.
pub fn run(
    program: &Path,
    runs: u64,
    only: &[String],
    mut keep: impl FnMut(Cache) -> Result<()>,
) -> Result<()> {
    let names: Vec<&str> = names().collect();
    if let Some(unknown) = only.iter().find(|name| !names.contains(&name.as_str())) {
        bail!("there is no tool '{unknown}': there are {}", names.join(", "));
    }
    let is_chosen = |tool: &&Tool| only.is_empty() || only.iter().any(|name| name == tool.name);
    TOOLS.iter().filter(is_chosen).try_for_each(|tool| keep(one(tool, program, runs)?))
}

fn one(tool: &Tool, program: &Path, runs: u64) -> Result<Cache> {
    let server = tool.server.map(Server::start).transpose()?;
    let place = tempfile::tempdir().context("cannot create a directory")?;
    let work = place.path().join("work");
    std::fs::create_dir(&work).context("cannot create a directory")?;
    let shell = |line: &str, number: u64| {
        let mut command = Command::new("sh");
        command.args(["-c", line]).current_dir(&work).stdin(Stdio::null());
        command.env("WORK", &work).env("N", number.to_string());
        command.envs(server.iter().map(|server| ("PORT", server.port.to_string())));
        command
    };
    let mut seen = Cache { tool: tool.name.into(), ..Cache::default() };
    let setup = shell(tool.setup, 0).output().context("cannot run sh")?;
    let version = shell(tool.version, 0).output().context("cannot run sh")?;
    if !setup.status.success() || !version.status.success() {
        seen.said.push(String::from_utf8_lossy(&setup.stderr).trim().to_owned());
        return Ok(seen);
    }
    seen.version = Some(String::from_utf8_lossy(&version.stdout).trim().to_owned());
    // Beside nobody: what fails now is not the sweep's fault.
    let control = shell(tool.job, 0).output().context("cannot run sh")?;
    if !control.status.success() {
        seen.said.push(format!("beside nobody: {}", String::from_utf8_lossy(&control.stderr).trim()));
        return Ok(Cache { version: None, ..seen });
    }
    let subject = Subject { program, state: place.path().join("state") };
    let stop = AtomicBool::new(false);
    let begin = Instant::now();
    std::thread::scope(|scope| {
        let sweeper = scope.spawn(|| sweep(&subject, tool, &work.join(tool.cache), &stop));
        for number in 1..=runs {
            match shell(tool.job, number).output() {
                Ok(output) if output.status.success() => {}
                Ok(output) => failed(&mut seen, &String::from_utf8_lossy(&output.stderr)),
                Err(error) => failed(&mut seen, &error.to_string()),
            }
            seen.runs += 1;
        }
        stop.store(true, Ordering::Relaxed);
        if let Ok((sweeps, failed, removed)) = sweeper.join() {
            (seen.sweeps, seen.failed_sweeps, seen.removed) = (sweeps, failed, removed);
        }
    });
    eprintln!("{seen:?} in {} s", begin.elapsed().as_secs());
    Ok(seen)
}

fn failed(seen: &mut Cache, message: &str) {
    seen.failed += 1;
    let message: String = message.trim().chars().take(2000).collect();
    if seen.said.len() < 5 && !seen.said.contains(&message) {
        seen.said.push(message);
    }
}

/// Sweeps until it is told to stop: how often, how often that failed, and how many files went.
fn sweep(subject: &Subject<'_>, tool: &Tool, cache: &Path, stop: &AtomicBool) -> (u64, u64, u64) {
    let (mut sweeps, mut failed, mut removed) = (0, 0, 0);
    while !stop.load(Ordering::Relaxed) {
        let flags = format!("--preset {} --older-than 2s --grace 2s --io normal --wait 1s", tool.preset);
        match subject.sweep(&flags, cache) {
            Ok((told, is_well)) => {
                removed += told["removed_files"].as_u64().unwrap_or(0);
                failed += u64::from(!is_well || told["error"] != Value::Null);
                sweeps += 1;
            }
            // The cache is not there yet.
            Err(_) if !cache.exists() => std::thread::yield_now(),
            Err(_) => failed += 1,
        }
    }
    (sweeps, failed, removed)
}

/// What a tool downloads from, for as long as this lives.
struct Server {
    child: Child,
    _stdin: ChildStdin,
    port: u16,
}

impl Server {
    fn start(program: &str) -> Result<Self> {
        let mut server = Command::new("python3");
        server.args(["-c", program]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = server.spawn().context("cannot run python3")?;
        let stdin = child.stdin.take().context("there is no standard input")?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("there is no standard output")?;
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line)?;
        let port = line.trim().parse().context("the server does not tell its port")?;
        Ok(Self { child, _stdin: stdin, port })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
