//! What this workspace builds, built.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, Result, bail};

use crate::{client::Client, command, workspace};

/// Names the profile that frontends are built by, where it is not the one that they are shipped with.
pub const PROFILE: &str = "CI_BUILD_TEST_PROFILE";

/// The profile that the frontends are shipped with.
const SHIPPED: &str = "frontend";

/// The profile of the ordinary tests on engines.
pub const QUICKLY_BUILT: &str = "frontend-for-tests";

/// Builds the frontends that tests on engines use, so that those need not.
///
/// # Errors
/// When one of them cannot be built.
pub fn prepare(profile: &str) -> Result<()> {
    // One after the other: the second one finds what it shares with the first.
    build_static(profile, "ci-build-frontend", "ci-build-frontend")?;
    build_static(profile, "ci-build-tests-capture", "capture").map(drop)
}

/// The frontend's static binary, as it goes into the image.
///
/// # Errors
/// When it cannot be built.
pub fn frontend() -> Result<PathBuf> {
    static FRONTEND: Once = Once::new();
    FRONTEND.get(|| build_static(&profile(), "ci-build-frontend", "ci-build-frontend"))
}

/// The same of another checkout of this workspace, with a target directory of its own.
///
/// # Errors
/// As [`frontend`].
pub fn frontend_of(checkout: &Path, target: &Path) -> Result<PathBuf> {
    build_static_of(checkout, target, SHIPPED, "ci-build-frontend", "ci-build-frontend")
}

/// The host command as a package has it: static, so that it runs on any Linux.
///
/// # Errors
/// When it cannot be built.
pub fn static_command() -> Result<PathBuf> {
    let target = workspace::target()?.join("static");
    build_static_of(workspace::root(), &target, "release", "ci-build", "ci-build")
}

/// The frontend that gives back the definitions of a build (`tests/capture`).
///
/// # Errors
/// When it cannot be built.
pub fn capture() -> Result<PathBuf> {
    static CAPTURE: Once = Once::new();
    CAPTURE.get(|| build_static(&profile(), "ci-build-tests-capture", "capture"))
}

/// The frontend that does nothing of its own (`tests/capture`).
///
/// # Errors
/// When it cannot be built.
pub fn forward() -> Result<PathBuf> {
    static FORWARD: Once = Once::new();
    FORWARD.get(|| build_static(&profile(), "ci-build-tests-capture", "forward"))
}

/// The `runc` that loses the race for a mountpoint, for [`Engine::wrappers`](crate::engines::Engine::wrappers).
///
/// # Errors
/// When it cannot be built.
pub fn racing_runc() -> Result<PathBuf> {
    static RUNC: Once = Once::new();
    RUNC.get(|| build_static(&profile(), "ci-build-tests-runc", "runc"))
}

/// Names the directory of what is built with the whole workspace, where it is up to date, so that [`command`] and [`writer`]
/// need not build: what is built alone has other features of its dependencies, and they would all be built once more.
pub const BUILT: &str = "CI_BUILD_TEST_BUILT";

/// The host command.
///
/// # Errors
/// When it cannot be built.
pub fn command() -> Result<PathBuf> {
    static COMMAND: Once = Once::new();
    COMMAND.get(|| debug("--bin", "ci-build", "ci-build"))
}

/// The example of the host command that writes its man pages and completions.
///
/// # Errors
/// When it cannot be built.
pub fn writer() -> Result<PathBuf> {
    static WRITER: Once = Once::new();
    WRITER.get(|| debug("--example", "package", "examples/package"))
}

/// A program of the host command's package, which cargo puts there in its directory.
fn debug(kind: &str, name: &str, path: &str) -> Result<PathBuf> {
    if let Some(built) = env::var_os(BUILT) {
        return Ok(Path::new(&built).join(path));
    }
    let mut build = cargo();
    build.args(["build", "--quiet", "--package", "ci-build", kind, name]);
    command::run(&mut build)?;
    Ok(workspace::target()?.join("debug").join(path))
}

/// The host command as users get it.
///
/// # Errors
/// When it cannot be built.
pub fn release_command() -> Result<PathBuf> {
    let mut build = cargo();
    build.args(["build", "--quiet", "--release", "--package", "ci-build", "--bin", "ci-build"]);
    command::run(&mut build)?;
    Ok(workspace::target()?.join("release/ci-build"))
}

/// What is built once in the life of a process: even to find it fresh takes cargo half a second.
struct Once(Mutex<Option<PathBuf>>);

impl Once {
    const fn new() -> Self {
        Self(Mutex::new(None))
    }

    fn get(&self, build: impl FnOnce() -> Result<PathBuf>) -> Result<PathBuf> {
        let mut built = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = &*built {
            return Ok(path.clone());
        }
        let path = build()?;
        *built = Some(path.clone());
        Ok(path)
    }
}

/// Installs the frontend's image into an engine's store and gives its name.
///
/// # Errors
/// When it cannot be built, or the engine does not take it.
pub fn install(client: &Client) -> Result<String> {
    let mut install = client.set_up(Command::new(command()?));
    install.args(["frontend", "install"]).env("CI_BUILD_FRONTEND_BINARY", frontend()?);
    let name = command::output(&mut install).context("the frontend's image cannot be installed")?;
    Ok(name.trim().to_owned())
}

/// A target that is named, be it the host's own, keeps the flags from build scripts and procedural macros, which cannot
/// be static. A directory of its own keeps the lock of a cargo that runs us.
fn build_static(profile: &str, package: &str, binary: &str) -> Result<PathBuf> {
    let target = workspace::target()?.join("static");
    build_static_of(workspace::root(), &target, profile, package, binary)
}

fn profile() -> String {
    env::var(PROFILE).unwrap_or_else(|_| SHIPPED.to_owned())
}

fn build_static_of(
    checkout: &Path,
    target: &Path,
    profile: &str,
    package: &str,
    binary: &str,
) -> Result<PathBuf> {
    let host = host()?;
    let mut build = cargo();
    build
        .current_dir(checkout)
        .args(["build", "--quiet", "--package", package, "--profile", profile])
        .args(["--target", &host, "--target-dir"])
        .arg(target)
        .args(["--bin", binary])
        .env("RUSTFLAGS", "-Ctarget-feature=+crt-static");
    command::run(&mut build)?;
    Ok(target.join(host).join(profile).join(binary))
}

/// The cargo that runs us, without what it told us about ourselves.
#[must_use]
pub fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").as_deref().unwrap_or(OsStr::new("cargo")));
    cargo.current_dir(workspace::root()).env_remove("CARGO_ENCODED_RUSTFLAGS");
    cargo
}

fn host() -> Result<String> {
    let version = command::output(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    match host {
        Some(host) => Ok(host.to_owned()),
        None => bail!("`rustc -vV` names no host"),
    }
}
