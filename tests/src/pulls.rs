//! What a slow mirror costs, beside a plain pull that takes the LAN first because it is there; and what it takes until many
//! clients have an image of a registry that limits them, beside crane.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ci_build_test_registry::{Fault, Image, On, Registry};
use serde::Serialize;
use tempfile::TempDir;
use xtask::client::Client;
use xtask::engines::{self, Kind, Options};
use xtask::{artifacts, machine, peers, poll, workspace};

use crate::results;

/// What is measured.
#[derive(Debug, clap::Parser)]
#[command(name = "cargo xtask pulls", bin_name = "cargo xtask pulls")]
pub struct Selection {
    /// The size of the image in MiB
    #[arg(long, default_value_t = 16)]
    mib: usize,
    /// A plain pull is ended after so many seconds
    #[arg(long, default_value_t = 120)]
    patience: u64,
    /// How many clients meet the rate limit
    #[arg(long, default_value_t = 50)]
    clients: usize,
    /// Where to write the results [default: docs/bench/pulls.json]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Results {
    machine: serde_json::Value,
    engine: String,
    image_bytes: usize,
    slow_mirrors: Vec<Slow>,
    limited: Vec<Limited>,
}

/// One kind of mirror.
#[derive(Debug, Serialize)]
struct Slow {
    mirror: String,
    /// Seconds of `docker pull MIRROR/…`; none where it was ended, or failed.
    plain: Option<f64>,
    /// How a plain pull ended that did not succeed.
    plain_ended: Option<String>,
    /// Seconds of `ci-build pull` with its usual limits.
    ours: f64,
}

/// Many clients of one registry that limits them.
#[derive(Debug, Serialize)]
struct Limited {
    client: String,
    clients: usize,
    requests: usize,
    refused: usize,
    /// How many have the image in the end.
    have_it: usize,
    seconds: f64,
}

/// Measures, writes the results, and tells whether all is as promised: no slow mirror costs more than its limits, and every
/// client gets the image.
///
/// # Errors
/// When something cannot be fetched or started, or a pull of ours fails.
pub fn run(selection: &Selection) -> Result<bool> {
    let engine = engines::start(Kind::Docker28_5, Options::default())?;
    let program = artifacts::release_command()?;
    let mut slow_mirrors = Vec::new();
    let mirrors = [
        ("as quick as it can", None),
        ("1 MiB/s, which is the floor", Some(Fault::Drip(1_100_000))),
        ("200 KiB/s", Some(Fault::Drip(200 << 10))),
        ("1 kB/s", Some(Fault::Drip(1000))),
        ("first byte after 60 s", Some(Fault::Late(Duration::from_secs(60)))),
    ];
    for (seed, (mirror, fault)) in mirrors.into_iter().enumerate() {
        let measured = slow(engine.client(), &program, selection, seed as u64, mirror, fault)?;
        eprintln!("{mirror}: plain {:?} s, ours {:.1} s", measured.plain, measured.ours);
        slow_mirrors.push(measured);
    }
    let limited = vec![with_crane(selection)?];
    for Limited { client, requests, refused, have_it, clients, seconds } in &limited {
        eprintln!(
            "{client}: {have_it} of {clients} have it after {seconds:.1} s, {requests} requests, {refused} refused"
        );
    }
    // The floor's window, the first byte, and the pull itself.
    let is_as_promised = slow_mirrors.iter().all(|slow| slow.ours < 40.0);
    let results = Results {
        machine: machine::description()?,
        engine: engine.kind().name().into(),
        image_bytes: selection.mib << 20,
        slow_mirrors,
        limited,
    };
    engine.stop()?;
    let usual = || workspace::root().join("docs/bench/pulls.json");
    results::save(&results, &selection.output.clone().unwrap_or_else(usual))?;
    Ok(is_as_promised)
}

fn slow(
    client: &Client,
    program: &std::path::Path,
    selection: &Selection,
    seed: u64,
    called: &str,
    fault: Option<Fault>,
) -> Result<Slow> {
    let (origin, mirror) = (Registry::start()?, Registry::start()?);
    // Two images, so that neither pull finds the other's layers.
    for (tag, seed) in [("plain", 2 * seed), ("ours", 2 * seed + 1)] {
        let image = Image::new(500 + seed, 1, selection.mib << 20);
        origin.put("app", tag, &image);
        mirror.put("app", tag, &image);
    }
    if let Some(fault) = fault {
        mirror.fault(On::Blob, fault);
    }
    let mut plain = client.docker();
    plain.args(["pull", "--quiet", &format!("{}/app:plain", mirror.address())]);
    let (plain, plain_ended) = match timed(&mut plain, Duration::from_secs(selection.patience))? {
        Some((took, true)) => (Some(took), None),
        Some((took, false)) => (None, Some(format!("failed after {took:.1} s"))),
        None => (None, Some(format!("ended after {} s", selection.patience))),
    };
    let state = tempfile::tempdir().context("cannot create a directory")?;
    let mut ours = client.set_up(Command::new(program));
    ours.env("CI_BUILD_STATE_DIR", state.path().join("state")).arg("pull");
    ours.args(["--mirror", &format!("{}=http://{}", origin.address(), mirror.address())]);
    ours.arg(format!("{}/app:ours", origin.address()));
    let ours = timed(&mut ours, Duration::from_secs(300))?.context("our pull hangs")?;
    ensure!(ours.1, "our pull failed past a mirror: {called}");
    Ok(Slow { mirror: called.into(), plain, plain_ended, ours: ours.0 })
}

/// How long a command takes, and whether it succeeds; nothing when it takes longer than this, and is ended.
fn timed(command: &mut Command, patience: Duration) -> Result<Option<(f64, bool)>> {
    let started = Instant::now();
    let mut child =
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("cannot start a pull")?;
    let ended = poll::until(patience, || child.try_wait().context("cannot wait for a pull"))?;
    if ended.is_none() {
        child.kill().context("cannot end a pull")?;
        child.wait().context("cannot wait for a pull")?;
    }
    Ok(ended.map(|status| (started.elapsed().as_secs_f64(), status.success())))
}

/// The same registry, limit and image as in the test `fifty_clients_get_the_image_from_a_registry_that_limits_them`.
fn with_crane(selection: &Selection) -> Result<Limited> {
    let origin = Registry::start()?;
    let clients = selection.clients;
    origin.put("app", "1", &Image::new(1, 1, 1000));
    origin.limit(4 * clients / 5, Duration::from_secs(2));
    let place: TempDir = tempfile::tempdir().context("cannot create a directory")?;
    let started = Instant::now();
    let start = |number: usize| -> Result<Child> {
        let mut crane = peers::crane()?;
        crane.args(["pull", "--insecure", &format!("{}/app:1", origin.address())]);
        crane.arg(place.path().join(format!("{number}.tar"))).stdout(Stdio::null()).stderr(Stdio::null());
        crane.spawn().context("cannot start crane")
    };
    let children: Vec<Child> = (0..clients).map(start).collect::<Result<_>>()?;
    let mut have_it = 0;
    for mut child in children {
        have_it += usize::from(child.wait().context("cannot wait for crane")?.success());
    }
    let requests = origin.requests();
    Ok(Limited {
        client: "crane".into(),
        clients,
        requests: requests.len(),
        refused: requests.iter().filter(|request| request.status == 429).count(),
        have_it,
        seconds: started.elapsed().as_secs_f64(),
    })
}
