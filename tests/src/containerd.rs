//! A containerd with a base image, and the host command with a state of its own.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::Digest as _;
use tempfile::TempDir;
use xtask::containerd::{Containerd, Kind};
use xtask::{artifacts, command, images};

use crate::host;

/// The base image: busybox, and above it a user.
pub const IMAGE: &str = "docker.io/local/busybox:latest";

/// runc keeps what it knows by the namespace's and the container's name alone: so no two stages share a namespace.
static STAGES: AtomicU32 = AtomicU32::new(0);

/// A containerd and a state. They go with this value.
#[derive(Debug)]
pub struct Stage {
    /// The engine.
    pub engine: Containerd,
    /// Where in it all is.
    namespace: String,
    program: PathBuf,
    place: TempDir,
}

impl Stage {
    /// Starts a containerd that has [`IMAGE`], unpacked.
    ///
    /// # Errors
    /// When something of it cannot be built, fetched, started or made.
    pub fn new(kind: Kind) -> Result<Self> {
        Self::with(kind, artifacts::command()?)
    }

    /// The same, with this program for the host command.
    ///
    /// # Errors
    /// As [`Stage::new`].
    pub fn with(kind: Kind, program: PathBuf) -> Result<Self> {
        let place = TempDir::new().context("cannot create a directory")?;
        let engine = Containerd::start(kind, &place.path().join("root"))?;
        let number = STAGES.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("stage-{}-{number}", std::process::id());
        let stage = Self { engine, namespace, program, place };
        archive(&stage.archive(), IMAGE, "base")?;
        archive(&stage.other_archive(), "docker.io/local/other:latest", "other")?;
        command::run(stage.ctr().args(["images", "import"]).arg(stage.archive()))?;
        // Whatever `import` unpacks: from now on all layers are there.
        command::run(&mut stage.run(&[IMAGE, "true"]))?;
        Ok(stage)
    }

    /// [`IMAGE`] as an OCI archive.
    #[must_use]
    pub fn archive(&self) -> PathBuf {
        self.place.path().join("busybox.tar")
    }

    /// An image that containerd does not have, with one layer more than it has.
    #[must_use]
    pub fn other_archive(&self) -> PathBuf {
        self.place.path().join("other.tar")
    }

    /// Where the host command keeps its state.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.place.path().join("state")
    }

    /// `ctr` in the namespace.
    #[must_use]
    pub fn ctr(&self) -> Command {
        let mut ctr = self.engine.ctr();
        ctr.args(["--namespace", &self.namespace]).stdin(Stdio::null());
        ctr
    }

    /// `ci-build` with these words, and with no settings of whoever runs us.
    #[must_use]
    pub fn ours(&self, words: &[&str]) -> Command {
        let mut command = self.set_up(Command::new(&self.program));
        command.args(words);
        command
    }

    /// `ci-build run --containerd` with these words.
    #[must_use]
    pub fn run(&self, words: &[&str]) -> Command {
        let mut command = self.ours(&["run", "--containerd"]);
        command.args(words);
        command
    }

    /// A shell, the leader of a session of its own, that finds `$CI_BUILD`.
    #[must_use]
    pub fn session(&self, script: &str) -> Command {
        let mut command = self.set_up(Command::new("setsid"));
        command.args(["--wait", "sh", "-c", script]).env("CI_BUILD", &self.program);
        command
    }

    /// Any program that calls `ci-build` or is it, with this state, and with no settings of whoever runs us.
    #[must_use]
    pub fn set_up(&self, mut command: Command) -> Command {
        for variable in ["STORE", "WAIT", "TIMEOUT", "GRACE", "NO_RECOVER"] {
            command.env_remove(format!("CI_BUILD_{variable}"));
        }
        at(&mut command, self.engine.socket())
            .env("CI_BUILD_STATE_DIR", self.state())
            .env("CI_BUILD_CONFIG", "")
            .env("CONTAINERD_NAMESPACE", &self.namespace)
            .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
            .env_remove("CONTAINERD_SNAPSHOTTER")
            .stdin(Stdio::null());
        command
    }

    /// What a recovery reports, and whether all went.
    ///
    /// # Errors
    /// When it reports nothing.
    pub fn recover(&self) -> Result<Value> {
        report(&mut self.ours(&["recover", "--format", "json"]))
    }

    /// All that containerd has in the namespace, a line each.
    ///
    /// # Errors
    /// When `ctr` does not tell.
    pub fn there(&self) -> Result<BTreeSet<String>> {
        let mut all = BTreeSet::new();
        for (kind, words) in [
            ("container", &["containers", "list", "--quiet"][..]),
            ("task", &["tasks", "list", "--quiet"]),
            ("image", &["images", "list", "--quiet"]),
            ("content", &["content", "list", "--quiet"]),
            ("lease", &["leases", "list", "--quiet"]),
        ] {
            let listed = command::output(self.ctr().args(words))?;
            all.extend(listed.lines().map(|name| format!("{kind} {name}")));
        }
        let snapshots = command::output(self.ctr().args(["snapshots", "list"]))?;
        let keys = snapshots.lines().skip(1).filter_map(|line| line.split_whitespace().next());
        all.extend(keys.map(|key| format!("snapshot {key}")));
        let ingests = command::output(self.ctr().args(["content", "active"]))?;
        all.extend(ingests.lines().skip(1).map(|line| format!("ingest {line}")));
        Ok(all)
    }

    /// The records of the journal.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn records(&self) -> Result<BTreeSet<String>> {
        let entries = fs::read_dir(self.state().join("journal")).context("no journal")?;
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        let names = names.collect::<Result<BTreeSet<_>>>()?;
        Ok(names.into_iter().filter(|name| !matches!(name.as_str(), ".writing" | ".turn")).collect())
    }

    /// The processes with these words in their command lines that were started for this containerd: its shims.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn shims(&self, container: &str) -> Result<Vec<i32>> {
        let socket = self.engine.socket().display().to_string();
        let found = host::processes_by_pid(&socket)?.into_iter();
        let is_ours = |line: &str| line.contains("containerd-shim") && line.contains(container);
        Ok(found.filter(|(_, line)| is_ours(line)).map(|(pid, _)| pid).collect())
    }

    /// The bytes that containerd's snapshots have on the disk.
    ///
    /// # Errors
    /// When they cannot be looked at.
    pub fn disk(&self) -> Result<u64> {
        let root = self.engine.root().join("io.containerd.snapshotter.v1.overlayfs");
        let counted = command::output(Command::new("du").args(["--summarize", "--block-size=1"]).arg(root))?;
        counted.split_whitespace().next().and_then(|bytes| bytes.parse().ok()).context("du counts nothing")
    }
}

/// Lets a command find the containerd behind this socket: `recover` and locks by our variable, which chooses it, and `run` by ctr's.
pub fn at(command: &mut Command, socket: impl AsRef<OsStr>) -> &mut Command {
    command.env("CI_BUILD_CONTAINERD", &socket).env("CONTAINERD_ADDRESS", &socket)
}

/// What a recovery reports.
///
/// # Errors
/// When it reports nothing.
pub fn report(recover: &mut Command) -> Result<Value> {
    let told = recover.output().context("cannot run ci-build recover")?;
    serde_json::from_slice(&told.stdout)
        .with_context(|| format!("no report: {}", String::from_utf8_lossy(&told.stderr)))
}

/// Whether the kernel has a control group of this record.
#[must_use]
pub fn has_cgroup(record: &str) -> bool {
    let hierarchies =
        fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|entry| entry.path());
    let mut all = hierarchies.chain([PathBuf::from("/sys/fs/cgroup")]);
    all.any(|hierarchy| hierarchy.join("ci-build").join(record).exists())
}

/// Writes an OCI archive: busybox, and a layer with a user and a file that says this.
fn archive(path: &Path, name: &str, says: &str) -> Result<()> {
    let mut busybox = Vec::new();
    images::busybox_layer(&mut busybox)?;
    let files = [
        ("etc/passwd", "root:x:0:0::/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\n"),
        ("etc/group", "root:x:0:\nada:x:1000:\nbuild:x:2000:ada\n"),
        ("says", says),
    ];
    let mut upper = tar::Builder::new(Vec::new());
    for (path, text) in files {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        header.set_size(text.len() as u64);
        upper.append_data(&mut header, path, text.as_bytes())?;
    }
    let layers = [busybox, upper.into_inner()?];
    let diff_ids: Vec<_> = layers.iter().map(|layer| digest(layer)).collect();
    let mut blobs: Vec<Vec<u8>> = layers.to_vec();
    let mut add = |bytes: Vec<u8>, media_type: &str| {
        let described = described(&bytes, media_type);
        blobs.push(bytes);
        described
    };
    let config = json!({
        "architecture": architecture(), "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let config = add(config.to_string().into(), "application/vnd.oci.image.config.v1+json");
    let of_layers: Vec<_> =
        layers.iter().map(|layer| described(layer, "application/vnd.oci.image.layer.v1.tar")).collect();
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest =
        json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": of_layers});
    let mut manifest = add(manifest.to_string().into(), media_type);
    manifest["annotations"] = json!({"io.containerd.image.name": name});
    let index = json!({"schemaVersion": 2, "manifests": [manifest]}).to_string();
    let layout = json!({"imageLayoutVersion": "1.0.0"}).to_string();
    let mut files =
        vec![("oci-layout".to_owned(), layout.into_bytes()), ("index.json".into(), index.into_bytes())];
    files.extend(blobs.into_iter().map(|blob| (digest(&blob).replace("sha256:", "blobs/sha256/"), blob)));
    let mut archive = tar::Builder::new(fs::File::create(path).context("cannot create an archive")?);
    for (path, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, path, bytes.as_slice())?;
    }
    archive.into_inner()?.flush().context("cannot write an archive")
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(sha2::Sha256::digest(bytes)))
}

fn described(bytes: &[u8], media_type: &str) -> Value {
    json!({"mediaType": media_type, "digest": digest(bytes), "size": bytes.len()})
}
