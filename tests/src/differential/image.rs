//! Images as facts: what `docker save` writes, and OCI layouts.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use anyhow::{Context, Result, bail};
use flate2::read::GzDecoder;
use serde_json::Value;

use super::facts::Facts;
use super::tree;

/// The files of an archive, by path.
pub type Archive = BTreeMap<String, Vec<u8>>;

/// Layers that were looked into before, by the digest of their uncompressed content.
#[derive(Debug, Default)]
pub struct Layers(HashMap<String, Facts>);

/// Reads an archive into memory.
///
/// # Errors
/// When it is no tar archive.
pub fn unpack(archive: impl Read) -> Result<Archive> {
    let mut files = Archive::new();
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries().context("no tar archive")? {
        let mut entry = entry.context("no tar archive")?;
        let path = entry.path().context("no tar archive")?.to_string_lossy().into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).context("no tar archive")?;
        files.insert(path.trim_start_matches("./").to_owned(), content);
    }
    Ok(files)
}

/// Whether the archive holds images, and not files.
#[must_use]
pub fn is_image(archive: &Archive) -> bool {
    archive.contains_key("manifest.json") || archive.contains_key("index.json")
}

/// The images of an archive: configuration, layers and attestations.
///
/// # Errors
/// When it is not as `docker save` or the OCI's image layout has it.
pub fn facts(archive: &Archive, layers: &mut Layers) -> Result<Facts> {
    let mut reader = Reader { archive, layers, facts: Facts::default() };
    // An engine with a graph driver writes both; what it saved is in the older one, and the index says no more.
    if archive.contains_key("index.json") {
        reader.index(&json(archive, "index.json")?)?;
    } else {
        reader.manifests(&json(archive, "manifest.json")?)?;
    }
    Ok(reader.facts)
}

struct Reader<'r> {
    archive: &'r Archive,
    layers: &'r mut Layers,
    facts: Facts,
}

impl Reader<'_> {
    /// The older form: a list of images.
    fn manifests(&mut self, list: &Value) -> Result<()> {
        for image in list.as_array().into_iter().flatten() {
            let config = image["Config"].as_str().context("an image without a configuration")?;
            let paths = image["Layers"].as_array().into_iter().flatten().filter_map(Value::as_str);
            self.image(config, &paths.collect::<Vec<_>>())?;
        }
        Ok(())
    }

    /// The OCI's form.
    fn index(&mut self, index: &Value) -> Result<()> {
        for descriptor in index["manifests"].as_array().into_iter().flatten() {
            let path = blob(descriptor)?;
            if !self.archive.contains_key(&path) {
                self.facts.put("missing", &descriptor["platform"]);
                continue;
            }
            let manifest = json(self.archive, &path)?;
            if manifest.get("manifests").is_some() {
                self.index(&manifest)?;
            } else if descriptor["annotations"]["vnd.docker.reference.type"] == "attestation-manifest" {
                self.attestations(&manifest)?;
            } else {
                let config = blob(&manifest["config"])?;
                let paths = manifest["layers"].as_array().into_iter().flatten().map(blob);
                let paths = paths.collect::<Result<Vec<_>>>()?;
                let platform = self.image(&config, &paths.iter().map(String::as_str).collect::<Vec<_>>())?;
                let types = manifest["layers"].as_array().into_iter().flatten();
                let types: Vec<_> = types.filter_map(|layer| layer["mediaType"].as_str()).collect();
                self.facts.put(format!("{platform}.layer-types"), types.join(" "));
                self.facts.json(&format!("{platform}.annotations"), &manifest["annotations"]);
            }
        }
        Ok(())
    }

    /// Gives the name that its facts begin with.
    fn image(&mut self, config: &str, layers: &[&str]) -> Result<String> {
        let mut config = json(self.archive, config)?;
        let of = |key: &str| config[key].as_str().unwrap_or("unknown").to_owned();
        let name = format!("image[{}/{}]", of("os"), of("architecture"));
        let ids = config["rootfs"]["diff_ids"].as_array().cloned().unwrap_or_default();
        self.facts.put(format!("{name}.layers"), ids.len());
        for (place, (path, id)) in layers.iter().zip(ids).enumerate() {
            let id = id.as_str().context("a layer without a digest")?.to_owned();
            let tree = match self.layers.0.get(&id) {
                Some(known) => known.clone(),
                None => {
                    let content = self.archive.get(*path).with_context(|| format!("there is no {path}"))?;
                    let tree = tree::of_archive(&uncompressed(content)?)?;
                    self.layers.0.insert(id.clone(), tree.clone());
                    tree
                }
            };
            self.facts.append(&format!("{name}.layer[{place}]"), tree);
            self.facts.put(format!("{name}.layer-digest[{place}]"), id);
        }
        config["rootfs"] = Value::Null;
        self.facts.json(&format!("{name}.config"), &config);
        Ok(name)
    }

    fn attestations(&mut self, manifest: &Value) -> Result<()> {
        for layer in manifest["layers"].as_array().into_iter().flatten() {
            let of = layer["annotations"]["in-toto.io/predicate-type"].as_str().unwrap_or("unknown");
            let mut statement = json(self.archive, &blob(layer)?)?;
            // Names the image by its digest, which the image's own facts say better.
            statement["subject"] = Value::Null;
            self.facts.put(format!("attestation[{of}]"), "is there");
            self.facts.json(&format!("attestation[{of}]"), &statement);
        }
        Ok(())
    }
}

/// Where an archive keeps what a descriptor names.
fn blob(descriptor: &Value) -> Result<String> {
    let digest = descriptor["digest"].as_str().context("a descriptor without a digest")?;
    Ok(format!("blobs/{}", digest.replace(':', "/")))
}

fn json(archive: &Archive, path: &str) -> Result<Value> {
    let bytes = archive.get(path).with_context(|| format!("there is no {path} in the archive"))?;
    serde_json::from_slice(bytes).with_context(|| format!("cannot understand {path}"))
}

fn uncompressed(content: &[u8]) -> Result<Vec<u8>> {
    match content {
        [0x1f, 0x8b, ..] => {
            let mut plain = Vec::new();
            GzDecoder::new(content).read_to_end(&mut plain).context("cannot unpack a layer")?;
            Ok(plain)
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => bail!("a layer is compressed with zstd, which is not read here"),
        plain => Ok(plain.to_owned()),
    }
}
