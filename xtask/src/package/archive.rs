//! An archive for systems without dpkg: what the package has, below one directory.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

use super::{Programs, Tree, VERSION, lay_out, moment};

/// Makes the archive in this directory, and gives its place.
///
/// # Errors
/// When something is missing, or it cannot be written.
pub fn make(programs: &Programs, directory: &Path) -> Result<PathBuf> {
    let name = format!("ci-build-{VERSION}-{}-linux", std::env::consts::ARCH);
    let tar = pack(&lay_out(programs)?, &name, moment()?)?;
    let path = directory.join(format!("{name}.tar.gz"));
    let file = fs::File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    let mut packer = GzBuilder::new().mtime(0).write(file, Compression::best());
    let written = packer.write_all(&tar).and_then(|()| packer.finish()).map(drop);
    written.with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Below the directory stand `bin`, `lib`, `share` and `etc`, as below `/usr/local`.
fn pack(tree: &Tree, name: &str, moment: u64) -> Result<Vec<u8>> {
    let mut archive = Builder::new(Vec::new());
    for entry in tree.entries()? {
        let place = entry.strip_prefix("usr").unwrap_or(&entry);
        if place.as_os_str().is_empty() {
            continue;
        }
        let path = tree.path().join(&entry);
        let found = fs::metadata(&path).with_context(|| format!("cannot look at {}", path.display()))?;
        let bytes = if found.is_dir() { Vec::new() } else { fs::read(&path)? };
        let mut header = Header::new_gnu();
        header.set_entry_type(if found.is_dir() { EntryType::Directory } else { EntryType::Regular });
        header.set_mode(found.permissions().mode() & 0o777);
        header.set_size(bytes.len() as u64);
        header.set_mtime(moment);
        header.set_uid(0);
        header.set_gid(0);
        archive.append_data(&mut header, Path::new(name).join(place), &*bytes)?;
    }
    Ok(archive.into_inner()?)
}
