//! The hub cache of Hugging Face: `models--NAME/{blobs,refs,snapshots,trees}`.
//!
//! A unit is a revision: its directory of links in `snapshots`, the names in `refs` that mean it, the list of its files in `trees`
//! (huggingface_hub from 2 on, `_tree_cache.py`), and the blobs that its links lead to. A blob of several revisions goes with the last
//! of them. A blob that no link leads to, such as a download that was broken off, is a unit of its own, as is a list without a revision.
//! While something is downloaded into a repository its lock file in `.locks` is held. A revision may get a link to a blob that is there
//! already, which leaves no sign but in the directory of the link: so all of `snapshots` is watched. All of it may be in `hub`, as in a
//! cache mount of all that Hugging Face caches.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::super::tree::{Id, Kind};
use super::super::unit::Parts;
use super::Read;
use super::index::Index;

/// How the directories of repositories begin.
const KINDS: [&[u8]; 4] = [b"models--", b"datasets--", b"spaces--", b"kernels--"];

pub(super) fn parts(index: &Index<'_>, read: Read<'_>) -> Vec<Parts> {
    let is_repository = |&id: &Id| KINDS.iter().any(|kind| index.name(id).starts_with(kind));
    let hub = index.within(b"hub");
    let repositories = index.directories(hub).filter(is_repository);
    repositories.flat_map(|id| repository(index, read, hub, id)).collect()
}

fn repository(index: &Index<'_>, read: Read<'_>, hub: Id, id: Id) -> Vec<Parts> {
    let in_it = |name: &[u8]| index.child(id, name).filter(|&id| index.tree.entry(id).is_directory());
    let all_locks = index.child(hub, b".locks");
    let own_locks = all_locks.and_then(|locks| index.child(locks, index.name(id)));
    let locks: Vec<Id> = own_locks.map_or_else(Vec::new, |locks| index.files(locks).collect());
    let snapshots = in_it(b"snapshots");
    let below = snapshots.iter().flat_map(|&id| index.directories_below(id));
    let watched: Arc<[Id]> = own_locks.or(all_locks).into_iter().chain(snapshots).chain(below).collect();
    let blobs = in_it(b"blobs");
    let by_name: HashMap<&[u8], Id> =
        blobs.iter().flat_map(|&blobs| index.files(blobs)).map(|id| (index.name(id), id)).collect();
    let mut names: HashMap<Vec<u8>, Vec<Id>> = HashMap::new();
    for name in in_it(b"refs").iter().flat_map(|&refs| index.below(refs)) {
        if index.tree.entry(name).kind == Kind::File
            && let Some(revision) = read(name)
        {
            names.entry(revision.trim_ascii().to_vec()).or_default().push(name);
        }
    }
    let lists = in_it(b"trees");
    let mut of_units = HashSet::new();
    let mut units = Vec::new();
    for revision in snapshots.iter().flat_map(|&snapshots| index.directories(snapshots)) {
        let mut parts = index.whole(revision);
        let links: Vec<Id> = parts.entries.iter().copied().filter(|&id| is_link(index, id)).collect();
        if let Some(missing) = in_it(b".no_exist").and_then(|all| index.child(all, index.name(revision))) {
            parts.entries.extend(index.below(missing));
            parts.entries.push(missing);
        }
        parts.entries.extend(names.remove(index.name(revision)).unwrap_or_default());
        let list = [index.name(revision), b".json"].concat();
        let list = lists.and_then(|lists| index.child(lists, &list));
        let led_to = links.into_iter().filter_map(read).filter_map(|target| blob(&by_name, &target));
        let mut own = HashSet::new();
        parts.entries.extend(list.into_iter().chain(led_to).filter(|&id| own.insert(id)));
        of_units.extend(own);
        parts.locks.clone_from(&locks);
        parts.watched.clone_from(&watched);
        units.push(parts);
    }
    let files = blobs.iter().chain(&lists).flat_map(|&directory| index.files(directory));
    let alone = files.filter(|file| !of_units.contains(file));
    units.extend(alone.map(|file| Parts {
        locks: locks.clone(),
        watched: watched.clone(),
        ..Index::single(file)
    }));
    units
}

fn is_link(index: &Index<'_>, id: Id) -> bool {
    index.tree.entry(id).kind == Kind::Link
}

/// The blob of this repository that a link leads to: `../../blobs/NAME`, with as many `..` as the file is deep.
fn blob(blobs: &HashMap<&[u8], Id>, target: &[u8]) -> Option<Id> {
    let mut names = target.rsplit(|&byte| byte == b'/');
    let name = names.next()?;
    (names.next()? == b"blobs").then(|| blobs.get(name).copied())?
}

#[cfg(test)]
mod tests {
    use super::super::Layout;
    use super::super::sample::Sample;

    #[test]
    fn a_revision_goes_with_its_links_names_and_blobs() {
        let sample = Sample::new(&[
            "models--a--b/blobs/one",
            "models--a--b/blobs/two",
            "models--a--b/blobs/both",
            "models--a--b/blobs/broken.incomplete",
            "models--a--b/refs/main=bbb\n",
            "models--a--b/refs/pr/1=aaa",
            "models--a--b/snapshots/aaa/model.bin>../../blobs/one",
            "models--a--b/snapshots/aaa/config.json>../../blobs/both",
            "models--a--b/snapshots/bbb/model.bin>../../blobs/two",
            "models--a--b/snapshots/bbb/sub/config.json>../../../blobs/both",
            "models--a--b/.no_exist/bbb/extra.json",
            "models--a--b/trees/bbb.json",
            "models--a--b/trees/gone.json",
            "kernels--a--c/blobs/three",
            ".locks/models--a--b/two.lock",
            "version.txt",
        ]);
        insta::assert_snapshot!(sample.units(Layout::Huggingface), @r"
        kernels--a--c/blobs/three
        models--a--b/blobs/broken.incomplete locked by .locks/models--a--b/two.lock
        models--a--b/snapshots/aaa (whole) + models--a--b/blobs/both + models--a--b/blobs/one + models--a--b/refs/pr/1 + models--a--b/snapshots/aaa/config.json + models--a--b/snapshots/aaa/model.bin locked by .locks/models--a--b/two.lock
        models--a--b/snapshots/bbb (whole) + models--a--b/.no_exist/bbb + models--a--b/.no_exist/bbb/extra.json + models--a--b/blobs/both + models--a--b/blobs/two + models--a--b/refs/main + models--a--b/snapshots/bbb/model.bin + models--a--b/snapshots/bbb/sub + models--a--b/snapshots/bbb/sub/config.json + models--a--b/trees/bbb.json locked by .locks/models--a--b/two.lock
        models--a--b/trees/gone.json locked by .locks/models--a--b/two.lock
        no unit: .locks/models--a--b/two.lock version.txt
        ");
    }

    #[test]
    fn it_may_be_one_directory_further_down() {
        let sample = Sample::new(&[
            "hub/models--a--b/blobs/one",
            "hub/models--a--b/snapshots/aaa/model.bin>../../blobs/one",
            "hub/.locks/models--a--b/one.lock",
            "token",
        ]);
        insta::assert_snapshot!(sample.units(Layout::Huggingface), @r"
        hub/models--a--b/snapshots/aaa (whole) + hub/models--a--b/blobs/one + hub/models--a--b/snapshots/aaa/model.bin locked by hub/.locks/models--a--b/one.lock
        no unit: hub/.locks/models--a--b/one.lock token
        ");
    }
}
