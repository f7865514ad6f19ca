//! The module cache of Go: a version of a module with its unpacked files, `MODULE@VERSION`, and what was downloaded of it,
//! `cache/download/MODULE/@v/VERSION.*`, but for its lock, which go holds while it downloads or unpacks. A repository in `cache/vcs` goes as a
//! whole. Lists of versions and the checksum database stay.

use std::collections::BTreeMap;

use super::super::tree::Id;
use super::super::unit::Parts;
use super::Read;
use super::index::Index;

/// What is downloaded of a version.
const DOWNLOADED: [&[u8]; 5] = [b".zip", b".ziphash", b".mod", b".info", b".partial"];

pub(super) fn parts(index: &Index<'_>, _: Read<'_>) -> Vec<Parts> {
    let mut versions: BTreeMap<Vec<u8>, Parts> = BTreeMap::new();
    let cache = index.child(Id::ROOT, b"cache");
    for directory in unpacked(index, cache) {
        versions.insert(index.tree.path(directory), index.whole(directory));
    }
    if let Some(download) = index.at(Id::ROOT, "cache/download") {
        for directory in index.directories_below(download) {
            if index.name(directory) == b"@v" {
                add(index, directory, &mut versions);
            }
        }
    }
    let vcs = index
        .at(Id::ROOT, "cache/vcs")
        .into_iter()
        .flat_map(|vcs| index.directories(vcs).map(move |id| (vcs, id)));
    let repositories = vcs.map(|(vcs, id)| {
        let mut parts = index.whole(id);
        let named = |suffix: &[u8]| index.child(vcs, &[index.name(id), suffix].concat());
        parts.entries.extend(named(b".info"));
        parts.locks.extend(named(b".lock"));
        parts
    });
    versions.into_values().chain(repositories.collect::<Vec<_>>()).collect()
}

/// Directories `MODULE@VERSION`, and not what is in them.
fn unpacked(index: &Index<'_>, cache: Option<Id>) -> Vec<Id> {
    let (mut found, mut rest) = (Vec::new(), vec![Id::ROOT]);
    while let Some(id) = rest.pop() {
        for directory in index.directories(id).filter(|&id| Some(id) != cache) {
            if index.name(directory).contains(&b'@') {
                found.push(directory);
            } else {
                rest.push(directory);
            }
        }
    }
    found
}

/// What is in `cache/download/MODULE/@v`, by `MODULE@VERSION`.
fn add(index: &Index<'_>, directory: Id, versions: &mut BTreeMap<Vec<u8>, Parts>) {
    let path = index.tree.path(directory);
    let module = path.strip_prefix(b"cache/download/").and_then(|path| path.strip_suffix(b"/@v"));
    let Some(module) = module else { return };
    for file in index.files(directory) {
        let name = index.name(file);
        let Some(version) = DOWNLOADED.iter().find_map(|suffix| name.strip_suffix(*suffix)) else { continue };
        let parts = versions.entry([module, b"@", version].concat()).or_default();
        parts.head = parts.head.or(Some(file));
        parts.entries.push(file);
        let lock = index.child(directory, &[version, b".lock"].concat());
        if parts.locks.is_empty() {
            parts.locks.extend(lock);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Layout;
    use super::super::sample::Sample;

    #[test]
    fn a_version_goes_with_all_that_is_of_it() {
        let sample = Sample::new(&[
            "cache/download/example.org/!a/b/@v/v1.0.0.zip",
            "cache/download/example.org/!a/b/@v/v1.0.0.mod",
            "cache/download/example.org/!a/b/@v/v1.0.0.lock",
            "cache/download/example.org/!a/b/@v/v1.1.0.info",
            "cache/download/example.org/!a/b/@v/list",
            "cache/download/sumdb/x",
            "cache/vcs/0123/HEAD",
            "cache/vcs/0123.info",
            "cache/vcs/0123.lock",
            "cache/lock",
            "example.org/!a/b@v1.0.0/b.go",
            "example.org/!a/b@v1.0.0/x@y/c.go",
        ]);
        insta::assert_snapshot!(sample.units(Layout::Go), @r"
        cache/download/example.org/!a/b/@v/v1.1.0.info
        cache/vcs/0123 (whole) + cache/vcs/0123.info + cache/vcs/0123/HEAD locked by cache/vcs/0123.lock
        example.org/!a/b@v1.0.0 (whole) + cache/download/example.org/!a/b/@v/v1.0.0.mod + cache/download/example.org/!a/b/@v/v1.0.0.zip + example.org/!a/b@v1.0.0/b.go + example.org/!a/b@v1.0.0/x@y + example.org/!a/b@v1.0.0/x@y/c.go locked by cache/download/example.org/!a/b/@v/v1.0.0.lock
        no unit: cache/download/example.org/!a/b/@v/list cache/download/example.org/!a/b/@v/v1.0.0.lock cache/download/sumdb/x cache/lock cache/vcs/0123.lock
        ");
    }
}
