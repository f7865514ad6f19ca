//! Engines from Debian packages: downloaded with an apt state of their own, unpacked, never installed.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context, Result, anyhow};

use super::{
    apt::{self, Source},
    kind::Kind,
    machine, place,
    suite::{Suite, TOOLS},
};
use crate::command;

/// What lies in `bin`, and the places where packages of the suites put it.
const PROGRAMS: [(&str, &[&str]); 14] = [
    ("busybox", &["usr/bin/busybox", "bin/busybox"]),
    ("containerd", &["usr/bin/containerd"]),
    ("containerd-shim-runc-v2", &["usr/bin/containerd-shim-runc-v2"]),
    ("crane", &["usr/bin/crane"]),
    ("ctr", &["usr/bin/ctr"]),
    ("docker", &["usr/bin/docker"]),
    ("docker-buildx", &["usr/libexec/docker/cli-plugins/docker-buildx"]),
    ("docker-compose", &["usr/libexec/docker/cli-plugins/docker-compose"]),
    ("docker-init", &["usr/libexec/docker/docker-init", "usr/bin/docker-init", "usr/bin/tini-static"]),
    ("docker-proxy", &["usr/sbin/docker-proxy", "usr/bin/docker-proxy"]),
    ("docker-registry", &["usr/bin/docker-registry"]),
    ("dockerd", &["usr/sbin/dockerd", "usr/bin/dockerd"]),
    ("qemu-aarch64-static", &["usr/bin/qemu-aarch64-static"]),
    ("skopeo", &["usr/bin/skopeo"]),
];

/// Written last; holds the version of each package.
const MARKER: &str = "packages.json";

/// A suite's packages on the disk.
#[derive(Debug)]
pub(crate) struct Fetched {
    dir: PathBuf,
    packages: BTreeMap<String, String>,
}

impl Fetched {
    /// The programs, by their usual names.
    pub(crate) fn bin(&self) -> PathBuf {
        self.dir.join("bin")
    }

    /// Docker with its version, or whatever else it is.
    fn shown(&self, suite: &Suite) -> String {
        match self.docker_version() {
            "" => suite.packages.join(", "),
            version => format!("Docker {version}"),
        }
    }

    /// Docker's own version, `28.5.2` of the package version `28.5.2+dfsg1-1`.
    pub(crate) fn docker_version(&self) -> &str {
        let version = self.packages.get("docker.io").map_or("", String::as_str);
        let without_epoch = version.split_once(':').map_or(version, |(_, rest)| rest);
        without_epoch.split(['+', '-', '~']).next().unwrap_or_default()
    }
}

/// Makes `kind` ready to start, and with it the command line and the buildx that drive every engine. Does nothing when
/// that was done before; several processes may do it at once.
///
/// # Errors
/// When the machine has no Debian mirror, when apt fails, or when a package lacks what is looked for in it.
pub fn fetch(kind: Kind) -> Result<()> {
    fetch_suite(&TOOLS)?;
    let fetched = fetch_suite(kind.suite())?;
    if fetched.docker_version() != kind.version() {
        eprintln!(
            "warning: {} is made for Docker {}, but {} now holds {}",
            kind.name(),
            kind.version(),
            kind.suite().name,
            fetched.docker_version()
        );
    }
    Ok(())
}

/// What was fetched of `suite` before, if it was.
pub(super) fn fetched(suite: &Suite) -> Result<Option<Fetched>> {
    let dir = place::engines_dir()?.join(suite.name);
    let path = dir.join(MARKER);
    match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => {
            let read = read.with_context(|| format!("cannot read {}", path.display()))?;
            let packages = serde_json::from_slice(&read)
                .with_context(|| format!("cannot understand {}", path.display()))?;
            Ok(Some(Fetched { dir, packages }))
        }
    }
}

pub(crate) fn fetch_suite(suite: &Suite) -> Result<Fetched> {
    if let Some(fetched) = fetched(suite)? {
        return Ok(fetched);
    }
    let engines = place::engines_dir()?;
    let _lock = place::lock(&engines.join(format!("{}.lock", suite.name)))?;
    if let Some(fetched) = fetched(suite)? {
        return Ok(fetched);
    }
    let start = Instant::now();
    let dir = engines.join(suite.name);
    // What an interrupted fetch left: there is no marker in it.
    remove_dir(&dir)?;
    place::create_private_dir(&dir)?;

    let packages = download_and_unpack(suite, &dir)?;
    gather_programs(&dir)?;
    if suite.packages.contains(&"runc") {
        make_runc_run(&dir)?;
    }
    let marker = dir.join(MARKER);
    fs::write(&marker, serde_json::to_vec_pretty(&packages)?)
        .with_context(|| format!("cannot write {}", marker.display()))?;
    let fetched = Fetched { dir, packages };
    let seconds = start.elapsed().as_secs_f32();
    eprintln!("fetched {} of {} in {seconds:.1} s", fetched.shown(suite), suite.debian);
    Ok(fetched)
}

/// Into `dir/root`; returns the version of each package.
fn download_and_unpack(suite: &Suite, dir: &Path) -> Result<BTreeMap<String, String>> {
    let apt = dir.join("apt");
    for part in ["lists/partial", "cache/archives/partial", "debs"] {
        fs::create_dir_all(apt.join(part)).with_context(|| format!("cannot create {}", apt.display()))?;
    }
    let write = |name: &str, text: &str| {
        let path = apt.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    write("status", "")?;
    write("debian.sources", &machine_archive()?.of_suite(suite.debian).to_deb822())?;

    let apt_get = || {
        let mut command = Command::new("apt-get");
        command.arg("-qq").current_dir(apt.join("debs"));
        for (option, value) in [
            ("Dir::Etc::SourceList", apt.join("debian.sources")),
            ("Dir::Etc::SourceParts", "/dev/null".into()),
            ("Dir::Etc::PreferencesParts", "/dev/null".into()),
            ("Dir::State::Lists", apt.join("lists")),
            ("Dir::State::Status", apt.join("status")),
            ("Dir::Cache", apt.join("cache")),
            ("Acquire::Languages", "none".into()),
            // A mirror that stands still serves Release files that are past their date.
            ("Acquire::Check-Valid-Until", "false".into()),
            // The directory is private, and apt's own user could not enter it.
            ("APT::Sandbox::User", "root".into()),
        ] {
            command.arg("-o").arg(format!("{option}={}", value.display()));
        }
        if let Some(architecture) = suite.architecture {
            for option in ["APT::Architecture", "APT::Architectures"] {
                command.arg("-o").arg(format!("{option}={architecture}"));
            }
        }
        command
    };
    command::run(apt_get().arg("update"))?;
    command::run(apt_get().arg("download").args(suite.packages))?;

    let root = dir.join("root");
    let mut packages = BTreeMap::new();
    for entry in fs::read_dir(apt.join("debs")).context("cannot list the downloaded packages")? {
        let deb = entry.context("cannot list the downloaded packages")?.path();
        command::run(Command::new("dpkg-deb").arg("--extract").args([&deb, &root]))?;
        let field = |name| command::output(Command::new("dpkg-deb").arg("--field").arg(&deb).arg(name));
        packages.insert(field("Package")?.trim().to_owned(), field("Version")?.trim().to_owned());
    }
    remove_dir(&apt)?;
    Ok(packages)
}

/// The Debian archive that the machine installs from.
fn machine_archive() -> Result<Source> {
    let suite = machine_suite()?;
    apt::of_debian(&apt::machine_sources()?, &suite).into_iter().next().ok_or_else(|| {
        anyhow!(
            "this machine's apt does not know a Debian mirror with the suite {suite}\n  \
             help: engines are made of Debian packages; name a mirror in /etc/apt/sources.list.d"
        )
    })
}

/// The code name of the machine's own system, as os-release(5) has it.
pub(crate) fn machine_suite() -> Result<String> {
    let path = "/etc/os-release";
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let name = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    name.map(|name| name.trim_matches('"').to_owned())
        .with_context(|| format!("{path} names no VERSION_CODENAME"))
}

/// Links in `dir/bin` for whatever there is of [`PROGRAMS`].
fn gather_programs(dir: &Path) -> Result<()> {
    let bin = dir.join("bin");
    place::create_private_dir(&bin)?;
    for (name, places) in PROGRAMS {
        if let Some(place) = places.iter().find(|place| dir.join("root").join(place).exists()) {
            let link = bin.join(name);
            symlink(Path::new("../root").join(place), &link)
                .with_context(|| format!("cannot create {}", link.display()))?;
        }
    }
    Ok(())
}

/// Only runc asks for a libc newer than the machine may have: then that one binary gets the libc unpacked beside it.
fn make_runc_run(dir: &Path) -> Result<()> {
    let runc = dir.join("bin/runc");
    let unpacked = ["usr/sbin/runc", "usr/bin/runc"].map(|place| dir.join("root").join(place));
    let unpacked = unpacked.iter().find(|path| path.exists()).context("the package runc holds no runc")?;
    fs::copy(unpacked, &runc).with_context(|| format!("cannot create {}", runc.display()))?;
    if command::succeeds(Command::new(&runc).arg("--version"))? {
        return Ok(());
    }
    machine::need(&[machine::PATCHELF])?;
    let (libraries, loader) = loader(&dir.join("root/usr/lib"))?;
    command::run(
        Command::new(machine::PATCHELF.program)
            .args(["--force-rpath", "--set-rpath"])
            .arg(libraries)
            .arg("--set-interpreter")
            .args([&loader, &runc]),
    )?;
    command::run(Command::new(&runc).arg("--version"))
}

/// The libraries' directory beneath `lib` (it is called after the architecture), and the dynamic loader in it.
fn loader(lib: &Path) -> Result<(PathBuf, PathBuf)> {
    let entries = |dir: &Path| -> Result<Vec<PathBuf>> {
        let entries = fs::read_dir(dir).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
        entries.with_context(|| format!("cannot list {}", dir.display()))
    };
    let is_loader =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ld-linux"));
    for libraries in entries(lib)?.into_iter().filter(|path| path.is_dir()) {
        if let Some(loader) = entries(&libraries)?.into_iter().find(is_loader) {
            return Ok((libraries, loader));
        }
    }
    Err(anyhow!("the package libc6 holds no dynamic loader beneath {}", lib.display()))
}

fn remove_dir(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.with_context(|| format!("cannot remove {}", dir.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_version_is_the_upstream_part() {
        for (package, version) in [
            ("20.10.24+dfsg1-1+deb12u1+b2", "20.10.24"),
            ("26.1.5+dfsg1-9+b9", "26.1.5"),
            ("1:28.5.2-1", "28.5.2"),
            ("29.0.0~rc1-1", "29.0.0"),
        ] {
            let packages = BTreeMap::from([("docker.io".to_owned(), package.to_owned())]);
            assert_eq!(Fetched { dir: PathBuf::new(), packages }.docker_version(), version);
        }
    }
}
