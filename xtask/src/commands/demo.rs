//! `cargo xtask demo`: two Dockerfiles that break, built by upstream and then by us, told in plain words.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use xtask::{
    artifacts,
    build::{Build, Ended, Outcome},
    client::Client,
    engines::{self, Engine, Kind, Options},
    images, workspace,
};

struct Scene {
    dockerfile: &'static str,
    what: &'static str,
    /// How long one of its builds may take.
    limit: Duration,
    /// How often upstream may try until it breaks: one takes luck.
    tries: usize,
    breaks: fn(&Outcome) -> Option<&'static str>,
}

const SCENES: [Scene; 2] = [
    Scene {
        dockerfile: "SharedCacheRace/apt",
        what: "two stages run `apt-get install` at once and share /var/cache/apt and /var/lib/apt",
        limit: Duration::from_secs(300),
        tries: 5,
        breaks: |outcome| {
            let lock = outcome.output.lines().find(|line| line.contains("Could not get lock"));
            lock.map(|_| "apt said \"Could not get lock\"")
        },
    },
    Scene {
        dockerfile: "CacheLockInversion/two",
        what: "two stages lock the caches X and Y in opposite orders",
        limit: Duration::from_secs(15),
        tries: 20,
        breaks: |outcome| {
            (outcome.ended == Ended::Hung).then_some("it hung: each step waited for the other's cache")
        },
    },
];

pub(crate) fn run() -> Result<()> {
    let config = tempfile::tempdir().context("cannot create a directory")?;
    let (client, engine) = client(config.path().join("docker"))?;
    say("making the base images and the frontend's image, without a registry; at first that takes minutes");
    images::busybox(&client)?;
    images::debian(&client)?;
    let frontend = artifacts::install(&client)?;

    let results: Vec<_> = SCENES.iter().map(|scene| play(scene, &client, &frontend)).collect();
    if let Some(engine) = engine {
        engine.stop()?;
    }
    let results = results.into_iter().collect::<Result<Vec<_>>>()?;
    ensure!(results.into_iter().all(|built| built), "ci-build did not build both");
    say("\nboth were built through ci-build. use it with one line at the top of a Dockerfile:");
    say(&format!("  # syntax={frontend}"));
    Ok(())
}

/// The engine that the user has, else one of our own for as long as the demonstration takes.
fn client(config: PathBuf) -> Result<(Client, Option<Engine>)> {
    if let Some(client) = Client::reachable(&config)? {
        say(&format!("using the Docker at {}", client.host()));
        return Ok((client, None));
    }
    say("no Docker is reachable: starting a private one");
    let engine = engines::start(Kind::Docker28_5, Options::default())?;
    say(&format!("Docker {} runs at {}", engine.version(), engine.client().host()));
    Ok((engine.client().clone(), Some(engine)))
}

/// Whether ours built it.
fn play(scene: &Scene, client: &Client, frontend: &str) -> Result<bool> {
    let dockerfile =
        workspace::root().join("testdata/dockerfiles").join(scene.dockerfile).with_extension("Dockerfile");
    let shown = dockerfile.strip_prefix(workspace::root()).unwrap_or(&dockerfile).display();
    say(&format!("\n{}\n  {shown}", scene.what));
    let fresh = |number: usize| {
        // Each build has its steps and its cache mounts to itself: nothing is cached, and no cache of the user's is touched.
        let name = format!("demo-{}-{number}", std::process::id());
        Build::of(client, &dockerfile)
            .argument(&format!("--build-arg=TRY={name}"))
            .argument(&format!("--build-arg=BUILDKIT_CACHE_MOUNT_NS={name}"))
            .limit(scene.limit)
    };
    let mut broke = None;
    for number in 1..=scene.tries {
        let outcome = fresh(number).run()?;
        broke = (scene.breaks)(&outcome).map(|how| (number, how));
        if broke.is_some() {
            break;
        }
        if outcome.ended == Ended::Failed {
            bail!("the build failed for another reason:\n{}", outcome.output);
        }
    }
    match broke {
        Some((number, how)) => say(&format!("  upstream   broke at build {number}: {how}")),
        None => say(&format!("  upstream   was lucky {} times", scene.tries)),
    }
    let outcome = fresh(0).through(frontend).limit(2 * scene.limit).run()?;
    if outcome.succeeded() {
        say(&format!("  ci-build   built it in {:.1} s", outcome.wall.as_secs_f32()));
        for line in outcome.output.lines().filter(|line| line.contains("ci-build has ")) {
            let notice = line.find(" - ").map_or(line, |at| &line[at + 3..]);
            say(&format!("             {notice}"));
        }
    } else {
        say(&format!("  ci-build   did not build it:\n{}", outcome.output));
    }
    Ok(outcome.succeeded())
}

fn say(line: &str) {
    eprintln!("{line}");
}
