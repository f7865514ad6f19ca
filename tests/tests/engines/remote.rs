//! An engine that is elsewhere, as far as its clients know: behind a TCP socket, with the frontend in a registry.

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use ci_build_tests::{Subject, dockerfile};
use xtask::build::Build;
use xtask::client::Client;
use xtask::engines::{self, Options};
use xtask::registry::Registry;
use xtask::{artifacts, command, images};

/// The image goes to a registry; a second engine, which has only the base image, takes it from there. Found by DOCKER_HOST
/// and by a context.
pub(crate) fn over_tcp(subject: &Subject) -> Result<()> {
    let registry = Registry::start()?;
    let mut push = subject.client.set_up(Command::new(&subject.command));
    push.args(["frontend", "push", &format!("{}/ci-build/frontend:test", registry.address())]);
    push.env("CI_BUILD_FRONTEND_BINARY", artifacts::frontend()?);
    let pushed = command::output(&mut push)?;
    let frontend = pushed.trim();

    let address = free_address()?;
    let engine = engines::start(subject.engine.kind(), Options { tcp: Some(address), ..Options::default() })?;
    let remote = engine.client().at(&format!("tcp://{address}"));
    images::copy(&subject.client, &remote, images::BUSYBOX)?;
    let has_frontend = command::succeeds(remote.docker().args(["image", "inspect", frontend]))?;
    ensure!(!has_frontend, "the image is in the engine's store already");
    builds(&remote, frontend)?;

    let mut create = remote.docker();
    create.env_remove("DOCKER_HOST");
    create.args(["context", "create", "elsewhere", "--docker", &format!("host=tcp://{address}")]);
    command::output(&mut create)?;
    builds(&remote.in_context("elsewhere"), frontend)?;
    // A control: an image that is not in the registry either is not found.
    let wrong = format!("{}/ci-build/other:test", registry.address());
    let outcome = Build::of(&remote, &dockerfile("SharedCacheRace/two-stages")).through(&wrong).run()?;
    ensure!(!outcome.succeeded(), "it was built");
    engine.stop()
}

fn builds(client: &Client, frontend: &str) -> Result<()> {
    let outcome = Build::of(client, &dockerfile("SharedCacheRace/two-stages")).through(frontend).run()?;
    ensure!(outcome.succeeded(), "{}", outcome.output);
    ensure!(outcome.output.contains("SharedCacheRace: "), "{}", outcome.output);
    Ok(())
}

/// One that was free a moment ago.
fn free_address() -> Result<SocketAddrV4> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("there is no free port")?;
    let port = listener.local_addr().context("a listener has an address")?.port();
    Ok(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
}
