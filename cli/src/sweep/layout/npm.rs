//! npm's cacache: a file of the index says which content is whose.
//!
//! A unit is a file of the index with the content that its lines name; content that several files name goes with the last of them, and
//! content that none names is a unit of its own. A line of the index is the hash of its text, a tab, and JSON with an `integrity`:
//! `ALGORITHM-BASE64`, several with spaces between them. Content lies at `content-v2/ALGORITHM/` and the hash in hexadecimal, with a slash
//! behind its first two bytes. All of it may be in `_cacache`, as in a cache mount of npm's own directory.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::super::tree::Kind;
use super::super::unit::Parts;
use super::Read;
use super::index::Index;

#[derive(Deserialize)]
struct Line {
    integrity: Option<String>,
}

pub(super) fn parts(index: &Index<'_>, read: Read<'_>) -> Vec<Parts> {
    let mut units = Vec::new();
    let mut named = HashSet::new();
    let cacache = index.within(b"_cacache");
    let content = index.child(cacache, b"content-v2");
    let buckets = index.child(cacache, b"index-v5").map_or_else(Vec::new, |id| index.below(id));
    for bucket in buckets.into_iter().filter(|&id| index.tree.entry(id).kind == Kind::File) {
        let mut parts = Index::single(bucket);
        // Of what cannot be read it is not known what belongs to it: it stays.
        let Some(text) = read(bucket) else { continue };
        for integrity in integrities(&text) {
            let id = content.and_then(|content| index.at(content, &path(&integrity)?));
            if let Some(id) = id.filter(|id| !parts.entries.contains(id)) {
                parts.entries.push(id);
                named.insert(id);
            }
        }
        units.push(parts);
    }
    let below = content.map_or_else(Vec::new, |id| index.below(id)).into_iter();
    let nameless = below.filter(|id| !index.tree.entry(*id).is_directory() && !named.contains(id));
    units.extend(nameless.map(Index::single));
    units.extend(index.child(cacache, b"tmp").iter().flat_map(|&id| index.singles(id).collect::<Vec<_>>()));
    units
}

fn integrities(text: &[u8]) -> Vec<String> {
    let of_line = |line: &[u8]| {
        let tab = line.iter().position(|&byte| byte == b'\t')?;
        serde_json::from_slice::<Line>(&line[tab + 1..]).ok()?.integrity
    };
    let lines = text.split(|&byte| byte == b'\n').filter_map(of_line);
    lines.flat_map(|line| line.split_ascii_whitespace().map(String::from).collect::<Vec<_>>()).collect()
}

/// Where the content of this integrity lies.
fn path(integrity: &str) -> Option<String> {
    let (algorithm, hash) = integrity.split_once('-')?;
    let hash = hash.split('?').next()?;
    let hex = hex::encode(STANDARD.decode(hash).ok()?);
    Some(format!("{algorithm}/{}/{}/{}", hex.get(..2)?, hex.get(2..4)?, hex.get(4..)?))
}

#[cfg(test)]
mod tests {
    use super::super::Layout;
    use super::super::sample::Sample;

    #[test]
    fn an_entry_of_the_index_goes_with_its_content() {
        // base64 of the bytes 1 2 3 4, and 5 6 7 8.
        let sample = Sample::new(&[
            "index-v5/aa/bb/one=\nhash\t{\"key\":\"x\",\"integrity\":\"sha512-AQIDBA==\"}\nhash\t{\"key\":\"y\",\"integrity\":null}",
            "index-v5/aa/bb/two=\nhash\t{\"integrity\":\"sha512-AQIDBA== sha1-BQYHCA==\"}",
            "index-v5/aa/bb/odd=no line",
            "content-v2/sha512/01/02/0304",
            "content-v2/sha1/05/06/0708",
            "content-v2/sha1/ff/ff/ffff",
            "tmp/half",
            "_lastverified",
        ]);
        insta::assert_snapshot!(sample.units(Layout::Npm), @r"
        content-v2/sha1/ff/ff/ffff
        index-v5/aa/bb/odd
        index-v5/aa/bb/one + content-v2/sha512/01/02/0304
        index-v5/aa/bb/two + content-v2/sha1/05/06/0708 + content-v2/sha512/01/02/0304
        tmp/half
        no unit: _lastverified
        ");
    }

    #[test]
    fn it_may_be_one_directory_further_down() {
        let sample = Sample::new(&["_cacache/content-v2/sha1/ff/ff/ffff", "_cacache/tmp/half", "_logs/x"]);
        insta::assert_snapshot!(sample.units(Layout::Npm), @r"
        _cacache/content-v2/sha1/ff/ff/ffff
        _cacache/tmp/half
        no unit: _logs/x
        ");
    }
}
