//! A home of cargo: of the registry a crate's archive with its sources, of git a repository with all of its checkouts. The index, settings
//! and installed programs are nobody's units. A cache mount often has but `registry` or `git` of it.

use std::collections::BTreeMap;

use super::super::unit::Parts;
use super::Read;
use super::index::Index;

pub(super) fn parts(index: &Index<'_>, _: Read<'_>) -> Vec<Parts> {
    let mut crates: BTreeMap<(&[u8], &[u8]), Parts> = BTreeMap::new();
    let listed = |within, path| index.at(within, path).into_iter().flat_map(|id| index.directories(id));
    let (registry, git) = (index.within(b"registry"), index.within(b"git"));
    // The sources first: cargo unpacks them again if the archive is there.
    for registry in listed(registry, "src") {
        for source in index.directories(registry) {
            crates.insert((index.name(registry), index.name(source)), index.whole(source));
        }
    }
    for registry in listed(registry, "cache") {
        for file in index.files(registry) {
            let name = index.name(file);
            let key = (index.name(registry), name.strip_suffix(b".crate").unwrap_or(name));
            let parts = crates.entry(key).or_insert_with(|| Parts { head: Some(file), ..Parts::default() });
            parts.entries.push(file);
        }
    }
    let mut repositories: BTreeMap<&[u8], Parts> = BTreeMap::new();
    for path in ["checkouts", "db"] {
        for directory in listed(git, path) {
            let whole = index.whole(directory);
            let parts = repositories.entry(index.name(directory)).or_default();
            parts.head = parts.head.or(whole.head);
            parts.entries.extend(whole.entries);
            parts.whole.extend(whole.whole);
        }
    }
    crates.into_values().chain(repositories.into_values()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Layout;
    use super::super::sample::Sample;

    #[test]
    fn an_archive_goes_with_its_sources_and_a_repository_with_its_checkouts() {
        let sample = Sample::new(&[
            "registry/cache/index.example-1/serde-1.0.0.crate",
            "registry/cache/index.example-1/toml-1.0.0.crate",
            "registry/src/index.example-1/serde-1.0.0/src/lib.rs",
            "registry/src/index.example-1/serde-1.0.0/.cargo-ok",
            "registry/index/index.example-1/.cache/se/rd/serde",
            "git/db/x-1/HEAD",
            "git/checkouts/x-1/abc/Cargo.toml",
            ".package-cache",
            "bin/tool",
        ]);
        insta::assert_snapshot!(sample.units(Layout::Cargo), @r"
        git/checkouts/x-1 (whole) + git/checkouts/x-1/abc + git/checkouts/x-1/abc/Cargo.toml + git/db/x-1 (whole) + git/db/x-1/HEAD
        registry/cache/index.example-1/toml-1.0.0.crate
        registry/src/index.example-1/serde-1.0.0 (whole) + registry/cache/index.example-1/serde-1.0.0.crate + registry/src/index.example-1/serde-1.0.0/.cargo-ok + registry/src/index.example-1/serde-1.0.0/src + registry/src/index.example-1/serde-1.0.0/src/lib.rs
        no unit: .package-cache bin/tool registry/index/index.example-1/.cache/se/rd/serde
        ");
    }

    #[test]
    fn a_registry_alone_has_the_same_units() {
        let sample = Sample::new(&["cache/i-1/serde-1.0.0.crate", "src/i-1/serde-1.0.0/lib.rs", "index/x"]);
        insta::assert_snapshot!(sample.units(Layout::Cargo), @r"
        src/i-1/serde-1.0.0 (whole) + cache/i-1/serde-1.0.0.crate + src/i-1/serde-1.0.0/lib.rs
        no unit: index/x
        ");
    }
}
