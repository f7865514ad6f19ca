//! An engine with all that cases ask for in its store and in a registry.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use xtask::client::Client;
use xtask::engines::{self, Engine, Kind, Options};
use xtask::registry::Registry;
use xtask::{artifacts, command, compose, images};

use super::case::Need;
use super::image;
use super::invoke::STAND_IN;
use super::services::Services;
use crate::definition;

/// A scanner for software bills of materials that finds one package, whatever it looks at.
const SCANNER: &str = "local/scanner:latest";

/// Writes what BuildKit expects of a scanner (`docs/attestations/sbom-protocol.md`).
const SCAN: &str = r#"echo '{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://spdx.dev/Document","predicate":{"SPDXID":"SPDXRef-DOCUMENT","spdxVersion":"SPDX-2.3","name":"stand-in"}}' > $BUILDKIT_SCAN_DESTINATION/stand-in.spdx.json"#;

/// The engine, and the names of what it has.
#[derive(Debug)]
pub struct Bench {
    /// The engine.
    pub engine: Engine,
    /// What talks to it.
    pub client: Client,
    /// The name of the frontend's image in its store.
    pub frontend: String,
    registry: Registry,
    layout: PathBuf,
    compose: Option<String>,
}

impl Bench {
    /// Starts and fills an engine.
    ///
    /// # Errors
    /// When something of it cannot be built, fetched, started or made.
    pub fn start(kind: Kind, services: &Services) -> Result<Self> {
        let engine = engines::start(kind, Options::default())?;
        let client = engine.client().clone();
        images::busybox(&client)?;
        if services.lacks(&[Need::Emulation]).is_none() {
            images::busybox_of_platforms(&client)?;
        }
        let frontend = artifacts::install(&client)?;
        definition::install_capture(&client)?;
        command::run(client.docker().args(["tag", &frontend, STAND_IN]))?;
        let registry = Registry::start()?;
        for name in ["busybox", "other"] {
            let pushed = format!("{}/{name}", registry.address());
            command::run(client.docker().args(["tag", images::BUSYBOX, &pushed]))?;
            command::run(client.docker().args(["push", "--quiet", &pushed]))?;
            command::run(client.docker().args(["rmi", &pushed]))?;
        }
        let root = services.root().join(kind.name());
        let layout = root.join("layout");
        fs::create_dir_all(&layout).context("cannot create a directory")?;
        let saved = root.join("busybox.tar");
        save(&client, images::BUSYBOX, &saved)?;
        write_layout(&saved, &layout).context("cannot write an OCI layout")?;
        import_scanner(&client, &root)?;
        let compose = compose::install(&client).err().map(|error| format!("{error:#}"));
        Ok(Self { engine, client, frontend, registry, layout, compose })
    }

    /// Why a case cannot be run here.
    #[must_use]
    pub fn lacks(&self, needs: &[Need]) -> Option<&str> {
        if needs.contains(&Need::Compose) { self.compose.as_deref() } else { None }
    }

    /// What stands for the machine's offers in a case, and what they are.
    #[must_use]
    pub fn words(&self) -> Vec<(&'static str, String)> {
        vec![
            ("@busybox@", images::BUSYBOX.to_owned()),
            ("@scanner@", SCANNER.to_owned()),
            ("@registry@", self.registry.address().to_string()),
            ("@layout@", self.layout.display().to_string()),
        ]
    }
}

/// An image of the engine's store as an archive.
///
/// # Errors
/// When the engine does not give it.
pub fn save(client: &Client, reference: &str, to: &Path) -> Result<()> {
    command::run(client.docker().args(["save", "--output"]).arg(to).arg(reference))
}

fn import_scanner(client: &Client, dir: &Path) -> Result<()> {
    let script = dir.join("scanner");
    fs::create_dir_all(&script).context("cannot create a directory")?;
    let text = format!("FROM {}\nENTRYPOINT {}\n", images::BUSYBOX, json!(["sh", "-c", SCAN]));
    fs::write(script.join("Dockerfile"), text).context("cannot write a Dockerfile")?;
    let mut build = client.buildx();
    build.args(["build", "--quiet", "--provenance=false", "--tag", SCANNER]).arg(script);
    command::run(&mut build)
}

/// The one image of what `docker save` wrote, as an OCI layout with the tag `latest`.
fn write_layout(saved: &Path, layout: &Path) -> Result<()> {
    let archive = image::unpack(fs::File::open(saved)?)?;
    let file = |path: &str| archive.get(path).with_context(|| format!("there is no {path}"));
    let manifest: Value = serde_json::from_slice(file("manifest.json")?)?;
    let path = |value: &Value| value.as_str().map(str::to_owned).context("not a path");
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    let write = |content: &[u8], kind: &str| -> Result<Value> {
        let digest = hex::encode(Sha256::digest(content));
        fs::File::create(blobs.join(&digest))?.write_all(content)?;
        let kind = format!("application/vnd.oci.image.{kind}");
        Ok(json!({"mediaType": kind, "digest": format!("sha256:{digest}"), "size": content.len()}))
    };
    let config = write(file(&path(&manifest[0]["Config"])?)?, "config.v1+json")?;
    let layer = file(&path(&manifest[0]["Layers"][0])?)?;
    let kind = if layer.starts_with(&[0x1f, 0x8b]) { "layer.v1.tar+gzip" } else { "layer.v1.tar" };
    let layer = write(layer, kind)?;
    let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config, "layers": [layer]});
    let mut manifest = write(manifest.to_string().as_bytes(), "manifest.v1+json")?;
    manifest["annotations"] = json!({"org.opencontainers.image.ref.name": "latest"});
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    fs::write(layout.join("index.json"), index.to_string())?;
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    Ok(())
}
