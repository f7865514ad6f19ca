//! An image of random bytes, pushed by curl.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddrV4;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use sha2::Digest as _;
use tempfile::TempDir;
use xtask::{command, workspace};

/// What the copied image is called.
pub(super) const NAME: &str = "bench/image";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Layers on the disk.
#[derive(Debug)]
pub(super) struct Layers {
    dir: TempDir,
    files: Vec<(PathBuf, String, u64)>,
}

impl Layers {
    pub(super) fn new(number: u64, bytes: u64) -> Result<Self> {
        let dir = tempfile::tempdir_in(workspace::target()?).context("cannot create a directory")?;
        let mut files = Vec::new();
        for layer in 0..number {
            let path = dir.path().join(format!("layer-{layer}"));
            let random = File::open("/dev/urandom").context("there is no /dev/urandom")?;
            let mut file = File::create(&path).context("cannot create a layer")?;
            // Nobody looks into it. As gzip it is said to be, because skopeo compresses what is not.
            io::copy(&mut random.take(bytes), &mut file).context("cannot write a layer")?;
            file.flush().context("cannot write a layer")?;
            files.push((path.clone(), digest(&path)?, bytes));
        }
        Ok(Self { dir, files })
    }

    pub(super) fn bytes(&self, range: Range<u64>) -> u64 {
        self.some(range).iter().map(|(_, _, bytes)| bytes).sum()
    }

    fn some(&self, range: Range<u64>) -> &[(PathBuf, String, u64)] {
        &self.files[range.start as usize..range.end as usize]
    }

    /// Pushes these layers, and then, if it is to be an image, the rest of it. Gives the digest of its manifest.
    pub(super) fn push(&self, registry: SocketAddrV4, range: Range<u64>, is_image: bool) -> Result<String> {
        for (path, digest, _) in self.some(range) {
            blob(registry, path, digest)?;
        }
        let diff_ids: Vec<_> = self.files.iter().map(|(_, digest, _)| digest).collect();
        let config = json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}});
        let (config, config_digest, config_bytes) = self.write("config", &config)?;
        let layer = |(_, digest, bytes): &(PathBuf, String, u64)| json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest, "size": bytes});
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config_digest, "size": config_bytes},
            "layers": self.files.iter().map(layer).collect::<Vec<_>>(),
        });
        let (manifest, digest, _) = self.write("manifest", &manifest)?;
        if is_image {
            blob(registry, &config, &config_digest)?;
            let url = format!("http://{registry}/v2/{NAME}/manifests/1");
            let mut put = curl();
            put.args(["--header", &format!("Content-Type: {MANIFEST}"), "--upload-file"])
                .arg(manifest)
                .arg(url);
            command::run(&mut put)?;
        }
        Ok(digest)
    }

    fn write(&self, name: &str, document: &serde_json::Value) -> Result<(PathBuf, String, u64)> {
        let path = self.dir.path().join(name);
        let text = document.to_string();
        fs::write(&path, &text).context("cannot write a document")?;
        Ok((path.clone(), digest(&path)?, text.len() as u64))
    }
}

/// The destination has the tag, and it means this manifest.
pub(super) fn check(registry: SocketAddrV4, manifest: &str) -> Result<()> {
    let url = format!("http://{registry}/v2/{NAME}/manifests/1");
    let head = command::output(curl().args(["--head", "--header", &format!("Accept: {MANIFEST}"), &url]))?;
    ensure!(head.contains(manifest), "the copy is another image than {manifest}: {head}");
    Ok(())
}

fn blob(registry: SocketAddrV4, path: &Path, digest: &str) -> Result<()> {
    let begin = format!("http://{registry}/v2/{NAME}/blobs/uploads/");
    let mut post = curl();
    let headers = command::output(post.args([
        "--request",
        "POST",
        "--output",
        "/dev/null",
        "--dump-header",
        "-",
        &begin,
    ]))?;
    let location = headers.lines().find_map(|line| line.strip_prefix("Location: "));
    let location = location.context("the registry gave no address for an upload")?.trim();
    let mut put = curl();
    put.arg("--upload-file").arg(path).arg(format!("{location}&digest={digest}"));
    command::run(&mut put)
}

fn curl() -> Command {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--fail"]);
    curl
}

fn digest(path: &Path) -> Result<String> {
    let mut hash = sha2::Sha256::new();
    let mut file = File::open(path).context("cannot read what was written")?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).context("cannot read what was written")? {
            0 => return Ok(format!("sha256:{}", hex::encode(hash.finalize()))),
            read => hash.update(&buffer[..read]),
        }
    }
}
