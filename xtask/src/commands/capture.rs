//! `cargo xtask capture`: fills testdata/llb with the definitions that real engines make of testdata/dockerfiles.

use std::{fs, io, path::Path, path::PathBuf};

use anyhow::{Context, Result, bail};
use xtask::{
    artifacts,
    build::Build,
    client::Client,
    engines::{self, ImageStore, Kind, Options},
    images, workspace,
};

/// The last one makes what is for several platforms, which buildx refuses with a graph driver, and nothing else.
const ENGINES: [Kind; 3] = [Kind::Docker20_10, Kind::Docker28_5, Kind::Docker28_5Containerd];
const IMAGE: &str = "local/capture:latest";

pub(crate) fn run() -> Result<()> {
    let binary = artifacts::capture()?;
    for kind in ENGINES {
        let engine = engines::start(kind, Options::default())?;
        let client = engine.client().clone();
        images::busybox(&client)?;
        images::debian(&client)?;
        images::of_frontend(&client, &binary, IMAGE)?;
        for (name, dockerfile) in dockerfiles()? {
            let file =
                workspace::root().join("testdata/llb").join(kind.name()).join(name).with_extension("pb");
            let platforms = platforms(&dockerfile)?;
            if platforms.is_some() == (kind.image_store() == ImageStore::Containerd) {
                capture(&client, &dockerfile, platforms.as_deref(), &file)?;
            }
        }
        engine.stop()?;
    }
    Ok(())
}

/// The Dockerfiles of testdata, by `directory/name`, but for those that no frontend takes.
fn dockerfiles() -> Result<Vec<(PathBuf, PathBuf)>> {
    let root = workspace::root().join("testdata/dockerfiles");
    let mut found = Vec::new();
    let list = |dir: &Path| -> io::Result<Vec<PathBuf>> {
        fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect()
    };
    for dir in list(&root).context("cannot read testdata")? {
        if dir.ends_with("bad") || !dir.is_dir() {
            continue;
        }
        for file in list(&dir).context("cannot read testdata")? {
            let name = file.strip_prefix(&root).context("it lies in testdata")?.with_extension("");
            found.push((name, file));
        }
    }
    found.sort();
    Ok(found)
}

fn capture(client: &Client, dockerfile: &Path, platforms: Option<&str>, file: &Path) -> Result<()> {
    let out = tempfile::tempdir().context("cannot create a directory")?;
    let output = format!("--output=type=local,dest={}", out.path().display());
    let mut build = Build::of(client, dockerfile).through(IMAGE).argument(&output);
    if let Some(platforms) = platforms {
        build = build.argument(&format!("--platform={platforms}"));
    }
    let outcome = build.run()?;
    let too_old = outcome.output.contains("unknown instruction");
    if too_old {
        eprintln!("{}: the engine is too old for it", file.display());
        return Ok(());
    }
    if !outcome.succeeded() {
        bail!("{} is not captured:\n{}", dockerfile.display(), outcome.output);
    }
    fs::create_dir_all(file.parent().unwrap_or(file)).context("cannot create a directory of testdata")?;
    for number in 0.. {
        let captured = out.path().join(format!("{number}.pb"));
        if !captured.exists() {
            break;
        }
        // The first one has the file's name, any other one its number as well.
        let extension = if number == 0 { "pb".to_owned() } else { format!("{number}.pb") };
        let file = file.with_extension(extension);
        fs::copy(captured, &file).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// What the first line of a Dockerfile of testdata says it is for: `# platforms: linux/amd64,linux/arm64`.
fn platforms(dockerfile: &Path) -> Result<Option<String>> {
    let text = fs::read_to_string(dockerfile).context("cannot read testdata")?;
    let first = text.lines().next().unwrap_or_default();
    Ok(first.strip_prefix("# platforms: ").map(str::to_owned))
}
