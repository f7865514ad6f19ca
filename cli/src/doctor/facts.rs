//! What the checks judge, asked of the host once.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use futures_util::future::join_all;

use super::steps::{self, Left};
use crate::disk::Space;
use crate::engine::{Endpoint, Engine, Info};
use crate::error::Failure;
use crate::process::short;
use crate::registry::{self, Examination, Mirror, examine};
use crate::store::State;

/// What was seen of a host.
#[derive(Debug)]
pub struct Facts {
    /// The engine that docker would use, or why it does not tell of itself.
    pub engine: Result<Info, Failure>,
    /// Whether that engine has the frontend's image, by this name.
    pub frontend: Option<(String, bool)>,
    /// Where locks and leases lie, or why they cannot.
    pub state: Result<State, Failure>,
    /// The room of the file system of the engine's data; none where the engine is on another host.
    pub space: Option<Space>,
    /// Steps of builds that outlived them, or why they cannot be looked for; none where the engine is on another host.
    pub steps: Option<Result<Vec<Left>, String>>,
    /// What runs programs of other platforms.
    pub interpreters: Vec<Interpreter>,
    /// What buildx calls itself, or why it does not.
    pub buildx: Result<String, String>,
    /// The mirrors that are configured, each with what it told of itself, or why they are not known.
    pub mirrors: Result<Vec<Examined>, Failure>,
    /// What mirrors have to prove.
    pub mirror_limits: registry::Limits,
    /// From which point on there is too little room.
    pub limits: Limits,
}

/// A mirror, and what it told of itself.
pub type Examined = (Mirror, Result<Examination, registry::Failure>);

/// Less room than this is wrong.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Of the bytes, in percent.
    pub free: u64,
    /// Of the inodes, in percent.
    pub inodes: u64,
}

/// A program that the kernel runs programs of another platform with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreter {
    /// What it is registered as, such as `qemu-aarch64`.
    pub name: String,
    /// Whether it is switched on.
    pub is_enabled: bool,
    /// Whether it is open already, so that containers need not have its file (flag F).
    pub is_fixed: bool,
}

impl Facts {
    /// Asks the host, each question within this time.
    pub async fn gather(
        frontend: &str,
        limits: Limits,
        patience: Duration,
        mirrors: Result<Vec<Mirror>, Failure>,
        mirror_limits: registry::Limits,
    ) -> Self {
        let engine = match Endpoint::of_this_process() {
            Ok(endpoint) => Engine::look(&endpoint, patience).await.map_err(Failure::from),
            Err(error) => Err(error.into()),
        };
        let (engine, frontend) = match engine {
            Ok((engine, info)) => (Ok(info), has(&engine, frontend, patience).await),
            Err(failure) => (Err(failure), None),
        };
        let root = engine.as_ref().ok().filter(|info| info.is_local).and_then(|info| info.root.as_deref());
        Self {
            frontend,
            state: State::of_this_process().map_err(Failure::from),
            space: root.and_then(|root| Space::of(root).ok()),
            steps: root.map(|root| steps::left(root).map_err(|error| error.to_string())),
            interpreters: interpreters(Path::new("/proc/sys/fs/binfmt_misc")),
            buildx: buildx(patience),
            mirrors: match mirrors {
                Ok(mirrors) => Ok(examined(mirrors, mirror_limits).await),
                Err(failure) => Err(failure),
            },
            mirror_limits,
            engine,
            limits,
        }
    }
}

/// All of them at once: each takes its time.
async fn examined(mirrors: Vec<Mirror>, limits: registry::Limits) -> Vec<Examined> {
    let look = mirrors.into_iter().map(|mirror| async move {
        let seen = examine(&mirror, limits).await;
        (mirror, seen)
    });
    join_all(look).await
}

async fn has(engine: &Engine, image: &str, patience: Duration) -> Option<(String, bool)> {
    let id = tokio::time::timeout(patience, engine.image_id(image)).await.ok()?.ok()?;
    Some((image.into(), id.is_some()))
}

/// What binfmt_misc tells of all that is registered (kernel, admin-guide/binfmt-misc).
fn interpreters(directory: &Path) -> Vec<Interpreter> {
    let mut found: Vec<_> = std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(|entry| interpreter(&entry.ok()?.path()))
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn interpreter(path: &Path) -> Option<Interpreter> {
    let name = path.file_name()?.to_str()?.to_owned();
    // The others switch the whole on and off, and take what is registered.
    let text = std::fs::read_to_string(path).ok().filter(|text| text.contains("interpreter "))?;
    let is_fixed =
        text.lines().any(|line| line.strip_prefix("flags:").is_some_and(|flags| flags.contains('F')));
    Some(Interpreter { name, is_enabled: text.starts_with("enabled"), is_fixed })
}

fn buildx(patience: Duration) -> Result<String, String> {
    match short::answer(Command::new("docker").args(["buildx", "version"]), patience) {
        // "github.com/docker/buildx v0.29.1 …"
        Ok(text) => text
            .split_ascii_whitespace()
            .nth(1)
            .map(|version| version.trim_start_matches('v').to_owned())
            .ok_or_else(|| "`docker buildx version` tells no version".into()),
        Err(error) => Err(format!("`docker buildx version`: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpreters_are_what_is_registered() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
        write("status", "enabled\n");
        write("qemu-aarch64", "enabled\ninterpreter /usr/bin/qemu-aarch64-static\nflags: POCF\noffset 0\n");
        write("qemu-arm", "disabled\ninterpreter /usr/bin/qemu-arm\nflags: \noffset 0\n");
        let of = |name: &str, is_enabled, is_fixed| Interpreter { name: name.into(), is_enabled, is_fixed };
        let expected = [of("qemu-aarch64", true, true), of("qemu-arm", false, false)];
        assert_eq!(interpreters(directory.path()), expected);
        assert_eq!(interpreters(Path::new("/nowhere/at/all")), []);
    }
}
