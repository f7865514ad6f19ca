//! `--no-cache` and the cache mounts of a step: what upstream does, and what `CI_BUILD_NO_CACHE=keep` does instead.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ci_build_tests::Subject;
use xtask::build::{self, Build, Ended};

const KEEP: &str = "--build-arg=CI_BUILD_NO_CACHE=keep";

/// Counts its runs in a cache, and tells what a process sees of its environment and of the file system.
const COUNTER: &str = "\
FROM local/busybox
RUN --mount=type=cache,id=no-cache-counter,target=/cache echo x >> /cache/runs && wc -l < /cache/runs > /runs && env > /seen && ls -a / /run* /dev >> /seen && cat /proc/mounts | cut -d' ' -f2 | sort >> /seen
";

/// What one build made.
struct Made {
    /// How often the step had run on what it found in its cache, itself included.
    runs: String,
    seen: String,
    was_cached: bool,
}

struct Directory(tempfile::TempDir);

impl Directory {
    fn new() -> Result<Self> {
        Ok(Self(tempfile::tempdir().context("cannot create a directory")?))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn dockerfile(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path().join(name);
        fs::write(&path, text).context("cannot write a Dockerfile")?;
        Ok(path)
    }
}

pub(crate) fn own_cache(subject: &Subject) -> Result<()> {
    let directory = Directory::new()?;
    let dockerfile = directory.dockerfile("Dockerfile", COUNTER)?;
    let upstream = || Build::of(&subject.client, &dockerfile);
    let ours = || upstream().through(&subject.frontend);
    let out = directory.path().join("out");
    let make = |build: Build| -> Result<Made> {
        let outcome = build.argument(&format!("--output=type=local,dest={}", out.display())).run()?;
        ensure!(outcome.succeeded(), "{}", outcome.output);
        let read = |name: &str| fs::read_to_string(out.join(name)).context("the build makes it");
        let was_cached = outcome.steps().iter().all(|(_, cached)| *cached);
        Ok(Made { runs: read("runs")?.trim().to_owned(), seen: read("seen")?, was_cached })
    };

    build::forget(&subject.client)?;
    let first = make(ours())?;
    ensure!(first.runs == "1" && !first.was_cached, "the first build is cold");
    let kept = make(ours().argument("--no-cache").argument(KEEP))?;
    ensure!(kept.runs == "2" && !kept.was_cached, "keep: {} runs in the cache", kept.runs);
    ensure!(kept.seen == first.seen, "the process sees the nonce:\n{}\n{}", first.seen, kept.seen);
    let again = make(ours().argument("--no-cache").argument(KEEP))?;
    ensure!(again.runs == "3" && !again.was_cached, "keep, again: {} runs in the cache", again.runs);
    // Its price.
    for later in [ours(), upstream(), ours().argument(KEEP)] {
        let later = make(later)?;
        ensure!(later.was_cached && later.runs == "1", "a later build found {} runs", later.runs);
    }

    // The control: upstream's meaning, upstream's own and through us, and its price.
    for (no_cache, later) in [(upstream(), ours()), (ours(), upstream())] {
        make(ours().argument("--no-cache").argument(KEEP))?;
        let emptied = make(no_cache.argument("--no-cache"))?;
        ensure!(emptied.runs == "1" && !emptied.was_cached, "--no-cache: {} runs in the cache", emptied.runs);
        let later = make(later)?;
        ensure!(later.was_cached && later.seen == emptied.seen, "a later build did not find the new result");
    }
    Ok(())
}

/// A step holds a cache; a build of another cache runs with `--no-cache`; a third build looks into the first cache.
pub(crate) fn neighbours_cache(subject: &Subject) -> Result<()> {
    for (id, arguments, is_kept) in
        [("kept", vec!["--no-cache", KEEP], true), ("lost", vec!["--no-cache"], false)]
    {
        let directory = Directory::new()?;
        let step = |name: &str, id: &str, command: &str| -> Result<Build> {
            let mount = format!("--mount=type=cache,id=no-cache-{id},target=/cache");
            let dockerfile =
                directory.dockerfile(name, &format!("FROM local/busybox\nRUN {mount} {command}\n"))?;
            Ok(Build::of(&subject.client, &dockerfile).through(&subject.frontend))
        };
        build::forget(&subject.client)?;
        // Whoever waits in a step for a file in the cache waits for an event.
        let wait = |file: &str| format!("while [ ! -e /cache/{file} ]; do sleep 0.02; done");
        let holder = step("holder", id, &format!("touch /cache/held; {}", wait("released")))?;
        // In the control nobody can release it.
        let holder = holder.limit(Duration::from_secs(if is_kept { 60 } else { 8 }));
        let holder = thread::spawn(move || holder.run());
        let begun = step("begun", id, &wait("held"))?.limit(Duration::from_secs(60)).run()?;
        ensure!(begun.succeeded(), "{}", begun.output);

        let neighbour = step("neighbour", "other", "true")?;
        let neighbour = arguments.iter().fold(neighbour, |build, argument| build.argument(argument)).run()?;
        ensure!(neighbour.succeeded(), "{}", neighbour.output);

        let look = step("look", id, "[ -e /cache/held ] && touch /cache/released")?.run()?;
        let held = holder.join().map_err(|_| anyhow::anyhow!("the holder's thread panicked"))??;
        if is_kept {
            ensure!(look.succeeded(), "the neighbour took the cache away:\n{}", look.output);
            ensure!(held.succeeded(), "{}", held.output);
        } else {
            ensure!(!look.succeeded(), "upstream's --no-cache took no cache away: the control is none");
            ensure!(held.ended == Ended::Hung, "somebody released the holder:\n{}", held.output);
        }
    }
    Ok(())
}
