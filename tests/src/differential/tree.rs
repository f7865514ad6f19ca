//! Files as facts: those of a tar archive and those of a directory.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::facts::Facts;

/// Every entry of a tar archive: its kind, mode, owner, target, content, time and extended attributes.
///
/// # Errors
/// When it is no tar archive.
pub fn of_archive(bytes: &[u8]) -> Result<Facts> {
    let mut facts = Facts::default();
    let mut archive = tar::Archive::new(bytes);
    for entry in archive.entries().context("no tar archive")? {
        let mut entry = entry.context("no tar archive")?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        for extension in entry.pax_extensions()?.into_iter().flatten() {
            let extension = extension.context("no PAX header")?;
            let key = extension.key().unwrap_or_default();
            if let Some(name) = key.strip_prefix("SCHILY.xattr.") {
                facts.put(format!("{path}.attribute[{name}]"), hex::encode(extension.value_bytes()));
            }
        }
        let header = entry.header().clone();
        facts.put(format!("{path}.kind"), format!("{:?}", header.entry_type()));
        facts.put(format!("{path}.mode"), format!("{:o}", header.mode()?));
        facts.put(format!("{path}.owner"), format!("{}:{}", header.uid()?, header.gid()?));
        facts.put(format!("{path}.time"), header.mtime()?);
        if let Some(target) = entry.link_name_bytes() {
            facts.put(format!("{path}.target"), String::from_utf8_lossy(&target));
        }
        if let (Ok(Some(major)), Ok(Some(minor))) = (header.device_major(), header.device_minor()) {
            facts.put(format!("{path}.device"), format!("{major}:{minor}"));
        }
        if header.entry_type().is_file() {
            let mut content = Vec::new();
            entry.read_to_end(&mut content).context("no tar archive")?;
            facts.put(format!("{path}.content"), digest(&content));
        }
    }
    Ok(facts)
}

/// Everything in a directory. The owner is left out: it is whoever runs the client.
///
/// # Errors
/// When it cannot be read.
pub fn of_directory(root: &Path) -> Result<Facts> {
    let mut facts = Facts::default();
    walk(root, root, &mut facts)?;
    Ok(facts)
}

fn walk(root: &Path, dir: &Path, facts: &mut Facts) -> Result<()> {
    let entries = fs::read_dir(dir).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut paths: Vec<_> = entries.with_context(|| format!("cannot list {}", dir.display()))?;
    // Those called after their content are in an order that does not change with every time in them.
    paths.sort_by_cached_key(|path| {
        let is_digest = path.file_name().and_then(|name| name.to_str()).is_some_and(is_digest);
        let length =
            if is_digest { fs::symlink_metadata(path).map_or(0, |metadata| metadata.len()) } else { 0 };
        (length, path.clone())
    });
    for path in paths {
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy();
        let name = name.split('/').map(|part| if is_digest(part) { "(digest)" } else { part });
        let name = name.collect::<Vec<_>>().join("/");
        let metadata = fs::symlink_metadata(&path)?;
        facts.put(format!("{name}.mode"), format!("{:o}", metadata.mode()));
        facts.put(format!("{name}.time"), metadata.mtime());
        if metadata.is_dir() {
            walk(root, &path, facts)?;
        } else if metadata.is_symlink() {
            facts.put(format!("{name}.target"), fs::read_link(&path)?.to_string_lossy());
        } else if metadata.is_file() {
            facts.put(format!("{name}.content"), digest(&fs::read(&path)?));
        }
    }
    Ok(())
}

/// A file that is called after its content has another name as soon as anything in it differs.
fn is_digest(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Of a content.
fn digest(content: &[u8]) -> String {
    format!("sha256:{}, {} bytes", hex::encode(Sha256::digest(content)), content.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_called_after_its_content_stands_by_its_length() {
        let facts = |short: char, long: char| {
            let place = tempfile::tempdir().unwrap();
            for (name, text) in [(short, "1"), (long, "22")] {
                fs::write(place.path().join(String::from(name).repeat(64)), text).unwrap();
            }
            let facts = of_directory(place.path()).unwrap();
            let contents = facts.iter().filter(|(name, _)| name.contains("content"));
            contents.map(|(_, value)| value.to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(facts('a', 'b'), facts('b', 'a'));
    }
}
